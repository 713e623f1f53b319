"""Runs from outside: start, feed, steer, follow, resume, fork, reconcile and prune them.

The room may import `worker` and the rooms below it, and of `workflows` the messages; it imports no activity.
Start reading at `orchestrator.PipelineOrchestrator`, then `resume.resume`.
"""
