"""Architecture search: EAS, ProxylessNAS, NASNet, each beside random architectures at equal cost."""
