"""Engines behind two small protocols; see `asr_worker.engines.base` for the contracts and `registry` for the names."""
