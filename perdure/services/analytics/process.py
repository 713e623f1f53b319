"""The worker's side of its ranking process."""

from perdure.services.identity.process import ResolverProcess


class RankingProcess(ResolverProcess):
    """A child process that ranks one graph; otherwise as its base."""

    module = "perdure.services.analytics.child"
    called = "the ranking of the graph"
