"""Texts for the tests of the analysis."""

from hypothesis import strategies as st

LETTER = (
    "On 5 March 2024 Ms. Clara Whitfield of Harbour & Finch Ltd. wrote to Acme Corporation in London about contract "
    "HF-2024-017, worth £1,250,000.50, payable to GB82 WEST 1234 5698 7654 32. "
    "Answers go to Clara.Whitfield@Harbour.example."
)
TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=400)
PROSE = st.lists(
    st.sampled_from([*LETTER.split(" "), "\n\n", "\n", "\t", "((((", "é", "中文", "🤠", "x" * 900]), max_size=300
).map(" ".join)
