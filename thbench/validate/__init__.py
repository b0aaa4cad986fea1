"""Each metric against graded degradations with known order: does it measure what it says?"""
