"""ProxylessNAS: one over-parameterised network, of which one path is in memory."""
