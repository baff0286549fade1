// Node's `util/types`.
(host) => host.native("util").types
