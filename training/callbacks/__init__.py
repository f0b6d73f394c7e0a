"""Callbacks for trainings that come with Framehook."""
