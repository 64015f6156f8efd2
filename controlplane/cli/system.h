/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of `culvert system` share. */
#ifndef CULVERT_CLI_SYSTEM_H
#define CULVERT_CLI_SYSTEM_H

#include "controlplane/cli/command.h"
#include "controlplane/cli/system/appliance.h"

/* Opens this machine as an appliance. 0, or the exit code with the error printed. */
int system_open(const struct cli *cli, struct appliance *appliance);

/* Restarts the machine in order; the exit code. */
int system_restart(void);

/* Has the EFI system partition checked, before it is written: what power cuts have left there is
 * freed. */
void system_check_efi(void);

/* What runs, from which slot, what the other one has, and what came of the last update: an object.
 * `alarm` in it is a text when the operator should know, else null. 0 or CULVERT_ESYSTEM. */
int system_report(const struct appliance *appliance, struct buffer *json, char why[SYSTEM_WHY]);

/* Leaves the report for culvertd, which tells it in its status. */
void system_publish(const struct appliance *appliance);

/* Whether the site can do without this node for a while: all other voters are connected, or --force
 * is given. 0, or the exit code with the error printed. */
int system_may_leave(struct cli *cli);

/* Verbs that are in files of their own; the exit code. */
int system_update(struct cli *cli);
int system_trial(struct cli *cli);

#endif
