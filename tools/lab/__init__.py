"""A network on one computer: namespaces, taps, and Piglet on them. For run-qemu, the boot tests and the benches."""
