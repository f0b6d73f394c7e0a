"""A viewing session without a window: what plays, what is looked at, what is saved. Nothing in here imports Qt."""
