//! What the benches beside Python peers share: a peer in its own process, limits of the machine, the result's form.

use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use kernels::{Matrix, product};
use serde_json::{Value, json};

/// Threads of OpenMP wait actively for a fifth of a second after their work.
pub(crate) const PAUSE: Duration = Duration::from_millis(400);

/// With these glibc keeps its memory, as the allocator of ours does.
const TUNABLES: &str = "glibc.malloc.mmap_max=0:glibc.malloc.mmap_threshold=4294967296:\
    glibc.malloc.trim_threshold=4294967296:glibc.malloc.hugetlb=1";

/// A peer in a process of its own, which answers each line with one of JSON.
pub(crate) struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) version: String,
}

impl Peer {
    /// Starts `benches/<script> <name> <folder> <sizes>` and reads its version. What is called `-tuned` keeps its memory.
    pub(crate) fn start(
        python: &Path,
        script: &str,
        name: &str,
        folder: &Path,
        sizes: [usize; 2],
    ) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(script);
        let mut child = Command::new(python)
            .arg(script)
            .arg(name)
            .arg(folder)
            .args(sizes.map(|size| size.to_string()))
            // A forced choice of kernels would slow the peer.
            .env_remove("OPENBLAS_CORETYPE")
            .env_remove("OPENBLAS_L2_SIZE")
            .envs(name.ends_with("-tuned").then_some(("GLIBC_TUNABLES", TUNABLES)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the peers' Python starts; `just bench-peers` installs it");
        let input = child.stdin.take().expect("an input");
        let output = BufReader::new(child.stdout.take().expect("an output"));
        let mut peer = Self { child, input, output, version: String::new() };
        let version = peer.line();
        version["version"].as_str().expect("a version").clone_into(&mut peer.version);
        peer
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a peer answers");
        serde_json::from_str(&line).expect("a peer answers in JSON; its error stands above")
    }

    /// Its answer to a command.
    pub(crate) fn ask(&mut self, command: &str) -> Value {
        writeln!(self.input, "{command}").expect("a peer listens");
        self.line()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The interpreter that `just bench-peers` names.
pub(crate) fn python() -> PathBuf {
    let python = std::env::args().skip_while(|word| word != "--python").nth(1);
    PathBuf::from(python.expect("--python and the peers' interpreter; call `just bench-peers`"))
}

/// Writes results/bench/<name>.json.
pub(crate) fn store(name: &str, about: &str, machine: &Value, rows: &[Value]) {
    let result = json!({ "name": name, "about": about, "machine": machine, "rows": rows });
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/bench");
    std::fs::create_dir_all(&target).expect("results/bench");
    let text = serde_json::to_string_pretty(&result).expect("JSON");
    let path = target.join(format!("{name}.json"));
    std::fs::write(&path, text + "\n").expect("a file in results/bench");
    println!("results/bench/{name}.json");
}

/// The middle one.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The best of several measurements of a rate: a limit is what the machine can do.
pub(crate) fn best(amount: f64, mut run: impl FnMut()) -> f64 {
    let rates = (0..7).map(|_| {
        let start = Instant::now();
        run();
        amount / start.elapsed().as_secs_f64()
    });
    rates.fold(0.0, f64::max)
}

/// Floating-point operations a second of a product of square matrices, in 10⁹.
pub(crate) fn gflops() -> f64 {
    let square = Matrix::zeros(1024, 1024);
    best(2.0 * 1024_f64 * 1024.0 * 1024.0, || {
        black_box(product(&square, &square).expect("a product"));
    }) / 1e9
}

/// The largest memory of this process so far, in MB; none where the system does not tell.
pub(crate) fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// The name of the processor.
pub(crate) fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("model name"));
    line.and_then(|line| line.split_once(':'))
        .map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}
