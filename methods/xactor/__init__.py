"""X-Actor: emotional and expressive long-range portrait acting from audio (Zhang et al., SIGGRAPH Asia 2025)."""
