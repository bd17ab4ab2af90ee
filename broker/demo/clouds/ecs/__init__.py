"""Amazon ECS as a strict fake keeps it: clusters, definitions, instances, tasks. Pure state over a clock."""
