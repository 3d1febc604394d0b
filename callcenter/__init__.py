"""Callcenter: domain, web and orchestration."""
