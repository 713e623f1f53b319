"""A worker's slot, its supervisor, and the work of workers that died.

The room may import `stores`, `services`, `connection`, `settings` and the floors below `orchestration`.
Start reading at `slot.take_slot`, then `reclaim.keep_reclaiming`.
"""
