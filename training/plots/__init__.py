"""Pictures of what a training sees and comes to."""
