# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Who logs in by SSH to a terminal gets the appliance's shell, or the system's if that can't be.
if [ -n "${SSH_TTY:-}" ] && [ -t 0 ] && [ -t 1 ]; then
    SHELL=/usr/lib/culvert/system-shell culvert shell && exit
fi
