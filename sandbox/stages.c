#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"
#include "sandbox/stages.h"

static const struct {
	const char *name;
	enum stage_need need;
	const char *fences;
	const char *mend;
} stages[] = {
#define X(name, need, fences, mend) { #name, STAGE_NEED_##need, fences, mend },
	ISOLATION_STAGES(X)
#undef X
};
_Static_assert(sizeof(stages) / sizeof(stages[0]) == STAGE_N, "one row each");

const char *
stage_name(unsigned int stage)
{
	return (stage < STAGE_N ? stages[stage].name : "?");
}

const char *
stage_fences(unsigned int stage)
{
	return (stage < STAGE_N ? stages[stage].fences : "?");
}

const char *
stage_mend(unsigned int stage)
{
	return (stage < STAGE_N ? stages[stage].mend : "?");
}

enum stage_need
stage_need(unsigned int stage)
{
	return (stage < STAGE_N ? stages[stage].need : STAGE_NEED_ALWAYS);
}

static int
stage_is_refused(unsigned int stage, int error, int strict)
{
#ifdef SALLYPORT_SANITIZERS
	strict = 0;
#endif
	if (!strict)
		return (0);
	switch (stage_need(stage)) {
	case STAGE_NEED_KERNEL:
		return (error != ENOSYS);
	case STAGE_NEED_ROOT:
		return (geteuid() == 0);
	case STAGE_NEED_ALWAYS:
	default:
		return (1);
	}
}

int
stage_missed(unsigned int stage, int error, int strict, uint32_t *missed)
{
	if (stage >= STAGE_N || stage_is_refused(stage, error, strict)) {
		log_error("isolation stage %s (%s) failed: %s; mend: %s; or "
			  "--isolation best-effort",
		    stage_name(stage), stage_fences(stage), strerror(error),
		    stage_mend(stage));
		return (-1);
	}
	log_debug("isolation stage %s does not hold: %s", stage_name(stage),
	    strerror(error));
	*missed |= STAGE_BIT(stage);
	return (0);
}

const char *
stages_format(uint32_t missed, char *buf, size_t size)
{
	unsigned int stage;

	strlcpy(buf, missed == 0 ? "none" : "", size);
	for (stage = 0; stage < STAGE_N; stage++) {
		if (!(missed & STAGE_BIT(stage)))
			continue;
		if (buf[0] != '\0')
			strlcat(buf, ",", size);
		strlcat(buf, stage_name(stage), size);
	}
	return (buf);
}
