//! The name of a device to a Burn device; the only crate that names backends.
//!
//! A program's `--device` is parsed into a [`DeviceName`] once, and [`DeviceName::open`] gives the
//! tensor library's handle. `flex`, pure Rust on the CPU, is always there; the others are opt-in
//! features of this crate, since they need a toolkit or a driver.
//!
//! ```
//! let name: device::DeviceName = "flex".parse()?;
//! let device = name.open()?;
//! assert!(!device.is_autodiff());
//! # Ok::<(), device::DeviceError>(())
//! ```

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use thiserror::Error;

/// A device that can be asked for.
///
/// Results on [`DeviceName::Flex`] are the reference; other devices sum in another order and agree
/// within a number's `drift_tol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceName {
    /// The CPU in pure Rust.
    #[default]
    Flex,
    /// The CPU by `LibTorch`; feature `libtorch`.
    LibTorch,
    /// The first NVIDIA GPU; feature `cuda`.
    Cuda,
    /// The GPU that the system names first, by Vulkan, Metal or DirectX; feature `wgpu`.
    Wgpu,
}

impl DeviceName {
    /// Every name, the default first.
    pub const ALL: [Self; 4] = [Self::Flex, Self::LibTorch, Self::Cuda, Self::Wgpu];

    /// The name as it is written on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::LibTorch => "libtorch",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
        }
    }

    /// Whether this build has the device.
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::Flex => true,
            Self::LibTorch => cfg!(feature = "libtorch"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Wgpu => cfg!(feature = "wgpu"),
        }
    }

    /// The tensor library's handle of the device, without automatic differentiation
    /// (`device.autodiff()` adds it).
    ///
    /// # Errors
    ///
    /// [`DeviceError::NotBuiltIn`] if this build lacks the device.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "libtorch")]
            Self::LibTorch => Ok(libtorch()),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(0)),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(not(all(feature = "libtorch", feature = "cuda", feature = "wgpu")))]
            missing => Err(DeviceError::NotBuiltIn { name: missing, built_in: built_in() }),
        }
    }
}

#[cfg(feature = "libtorch")]
#[expect(
    deprecated,
    reason = "the tensor library keeps this backend for now, and users ask for it"
)]
fn libtorch() -> Device {
    Device::libtorch()
}

/// The names of [`DeviceName::ALL`] that this build has, with commas.
fn built_in() -> String {
    let names: Vec<_> = DeviceName::ALL
        .into_iter()
        .filter(|name| name.is_built_in())
        .map(DeviceName::as_str)
        .collect();
    names.join(", ")
}

impl fmt::Display for DeviceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    /// # Errors
    ///
    /// [`DeviceError::Unknown`] for a name that is none of [`DeviceName::ALL`].
    fn from_str(name: &str) -> Result<Self, DeviceError> {
        Self::ALL
            .into_iter()
            .find(|known| known.as_str() == name)
            .ok_or_else(|| DeviceError::Unknown { got: name.to_owned() })
    }
}

/// Why a device cannot be had.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device has this name.
    #[error("no device is named {got:?}: expected flex, libtorch, cuda or wgpu")]
    Unknown {
        /// What was asked for.
        got: String,
    },
    /// The device is known, but this program was built without it.
    #[error(
        "device {name} is not built in (this program has: {built_in}): build it with \
         `--features {name}`, or take another device"
    )]
    NotBuiltIn {
        /// The device.
        name: DeviceName,
        /// What this build has.
        built_in: String,
    },
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_written() {
        for name in DeviceName::ALL {
            assert_eq!(name.to_string().parse::<DeviceName>(), Ok(name));
        }
        let error = "Flex".parse::<DeviceName>().unwrap_err().to_string();
        assert!(error.contains("\"Flex\"") && error.contains("wgpu"), "{error}");
    }

    #[test]
    fn a_device_opens_exactly_if_it_is_built_in() {
        assert!(DeviceName::default().is_built_in());
        for name in DeviceName::ALL.into_iter().filter(|name| !name.is_built_in()) {
            let error = name.open().unwrap_err().to_string();
            assert!(error.contains(&format!("--features {name}")) && error.contains("flex"));
        }
    }

    #[test]
    fn the_default_device_computes() {
        let device = DeviceName::default().open().unwrap();
        let a = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &device);
        let product = a.clone().matmul(a).into_data().try_into_vec::<f32>();
        assert_eq!(product.unwrap(), [7.0, 10.0, 15.0, 22.0]);
    }
}
