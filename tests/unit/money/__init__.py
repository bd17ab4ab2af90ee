"""Money: what agents cost, what budgets allow, what is told of it."""
