"""A busy machine is slow now and then: no parser is timed here."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
