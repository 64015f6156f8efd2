/* SPDX-License-Identifier: Apache-2.0 */
#include <systemd/sd-daemon.h>

#include "controlplane/daemon/daemon.h"

void daemon_notify(const char *state)
{
    sd_notify(0, state); /* without systemd it does nothing */
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    sd_notify(0, "WATCHDOG=1");
}

int daemon_watchdog_start(struct daemon *daemon)
{
    uint64_t interval_us;

    if (sd_watchdog_enabled(0, &interval_us) <= 0)
        return 0;
    return uv_timer_start(&daemon->watchdog, on_watchdog, 0, interval_us / 2000 + 1);
}
