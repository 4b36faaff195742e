#ifndef RELAYPROC_DISPATCH_PARENT_H
#define RELAYPROC_DISPATCH_PARENT_H

#include "ipc/channel_event.h"

/* Everything that the parent says; arg is the struct relayproc. */
channel_dispatch dispatch_parent;

#endif
