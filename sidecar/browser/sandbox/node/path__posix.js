// Node's `path/posix`.
(host) => host.native("path")
