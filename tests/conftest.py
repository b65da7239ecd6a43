"""What holds for every test: properties are judged by what they find, never by how fast a shared machine runs them."""

from hypothesis import HealthCheck, settings

settings.register_profile("graylane", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("graylane")
