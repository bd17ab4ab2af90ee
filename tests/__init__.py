"""Everything that is tested; the folders mirror `broker/` or name the kind of test."""
