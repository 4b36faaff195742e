#ifndef RELAYPROC_DISPATCH_NETPROC_H
#define RELAYPROC_DISPATCH_NETPROC_H

#include "ipc/channel_event.h"

/*
 * Everything that netproc says, on both of its channels; arg is the struct
 * relayproc.  netproc may be taken over: what it says is well formed by
 * ipc_check(), and nothing more is taken for granted.
 */
channel_dispatch dispatch_netproc;

#endif
