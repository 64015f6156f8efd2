/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a seed disk. The first byte chooses which. Whatever the bytes: no crash, and what is
 * taken of them is lines that can't become others in the files that are made of it.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/firstboot/seed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const struct buffer *text)
{
    for (size_t i = 0; i < text->length; i++)
        if ((unsigned char)text->data[i] < 0x20 && text->data[i] != '\n')
            abort();
    if (text->length && memchr(text->data, '\n', text->length) == NULL)
        abort();
}

/* A NIC's file has one [Match], so that nothing of the seed begins a section of its own. */
static void check_nic(const struct machine *machine, const struct machine_nic *nic)
{
    struct buffer text = {0};

    machine_write_nic(machine, nic, &text);
    check_lines(&text);
    if (text.data && strstr(text.data + 1, "[Match]"))
        abort();
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static seed_reader *const readers[] = {seed_read_user_data, seed_read_meta_data,
                                           seed_read_openstack, seed_read_network,
                                           seed_read_openstack_network};
    struct seed_report report = {0};
    struct buffer text = {0};
    struct machine *machine;

    if (!size)
        return 0;
    machine = calloc(1, sizeof(*machine));
    if (!machine)
        abort();
    readers[data[0] % (sizeof(readers) / sizeof(readers[0]))](
        machine, "seed", (const char *)data + 1, size - 1, &report);
    check_lines(&machine->keys);
    check_lines(&machine->join);
    if (report.errors.count && strchr(machine->hostname, '\n'))
        abort();
    for (unsigned i = 0; i < machine->nic_count; i++)
        check_nic(machine, &machine->nics[i]);
    site_errors_text(&report.errors, &text);
    site_errors_text(&report.warnings, &text);
    buffer_free(&text);
    machine_free(machine);
    seed_report_free(&report);
    free(machine);
    return 0;
}
