"""How often Hypothesis tries a property: few times, and always the same examples."""

from hypothesis import HealthCheck, settings

few = settings(
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
