"""The desktop app: windows over a session. The only place that imports PyQt6."""
