// Node's `perf_hooks`.
() => ({ performance })
