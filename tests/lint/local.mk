# Checks of the sources themselves: `make lint`.
lint_tests = \
	tests/lint/docs.sh \
	tests/lint/format.sh \
	tests/lint/headers.sh \
	tests/lint/sources.sh \
	tests/lint/symbols.sh \
	tests/lint/tools.sh \
	tests/lint/threat_model.py
TESTS += $(lint_tests)
EXTRA_DIST += $(lint_tests) tests/lib/tap.sh
