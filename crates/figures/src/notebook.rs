//! Output for notebooks with an evcxr kernel.

/// Hands a picture or a table to the notebook.
#[expect(clippy::print_stdout, reason = "standard output is the kernel's only way to show content")]
pub(crate) fn show(media_type: &str, content: &str) {
    println!("EVCXR_BEGIN_CONTENT {media_type}\n{content}\nEVCXR_END_CONTENT");
}
