"""Speech: sentences, sound with phoneme times, and the movements of the mouth that make it."""
