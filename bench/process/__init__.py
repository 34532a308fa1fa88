"""A child process: how it is started, bounded, listened to and ended."""
