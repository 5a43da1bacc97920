"""What is said in videos and sounds: pieces of sound, a service that writes it down, subtitles."""
