"""What a registry of Prometheus shows of a client."""


class Shown:
    """What a registry, or the default one, shows of one client."""

    def __init__(self, client, registry):
        self.client, self.registry = client, registry

    def __call__(self, name, **labels):
        return self.registry.get_sample_value(name, {"client": self.client, **labels})
