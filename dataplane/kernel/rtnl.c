/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel/rtnl.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "controlplane/base/error.h"

#define EVENT_RECEIVE_BYTES (8 << 20)

static int fail(struct rtnl *rtnl, int errnum)
{
    rtnl->errnum = errnum;
    snprintf(rtnl->text, sizeof(rtnl->text), "%s", strerror(errnum));
    return CULVERT_ESYSTEM;
}

static int socket_open(struct rtnl *rtnl, int flags)
{
    struct sockaddr_nl local = {.nl_family = AF_NETLINK};
    int on = 1;

    memset(rtnl, 0, sizeof(*rtnl));
    rtnl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);
    if (rtnl->fd < 0)
        return fail(rtnl, errno);
    rtnl->buffer = malloc(RTNL_BUFFER_BYTES);
    if (!rtnl->buffer || bind(rtnl->fd, (struct sockaddr *)&local, sizeof(local))) {
        int errnum = rtnl->buffer ? errno : ENOMEM;

        rtnl_close(rtnl);
        return fail(rtnl, errnum);
    }
    /* Both only make errors clearer: an old kernel without them still works. */
    setsockopt(rtnl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    setsockopt(rtnl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    return 0;
}

int rtnl_open(struct rtnl *rtnl)
{
    struct timeval timeout = {.tv_sec = 2};
    int error = socket_open(rtnl, 0);

    if (!error)
        setsockopt(rtnl->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    return error;
}

int rtnl_open_events(struct rtnl *rtnl, const unsigned *groups, size_t count)
{
    int bytes = EVENT_RECEIVE_BYTES;
    int error = socket_open(rtnl, SOCK_NONBLOCK);

    if (error)
        return error;
    setsockopt(rtnl->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    for (size_t i = 0; i < count; i++) {
        if (setsockopt(rtnl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
                       sizeof(groups[i]))) {
            int errnum = errno;

            rtnl_close(rtnl);
            return fail(rtnl, errnum);
        }
    }
    return 0;
}

void rtnl_close(struct rtnl *rtnl)
{
    if (rtnl->fd >= 0)
        close(rtnl->fd);
    free(rtnl->buffer);
    rtnl->fd = -1;
    rtnl->buffer = NULL;
}

/* ---- requests ---- */

static void append(struct rtnl_request *request, const void *data, size_t length)
{
    size_t room = NLMSG_ALIGN(length);

    assert(request->length + room <= sizeof(request->bytes));
    if (length)
        memcpy(request->bytes + request->length, data, length);
    memset(request->bytes + request->length + length, 0, room - length);
    request->length += room;
    ((struct nlmsghdr *)request->bytes)->nlmsg_len = (uint32_t)request->length;
}

void rtnl_begin(struct rtnl_request *request, uint16_t type, uint16_t flags, const void *body,
                size_t length)
{
    struct nlmsghdr header = {
        .nlmsg_type = type,
        .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
    };

    request->length = 0;
    append(request, &header, sizeof(header));
    append(request, body, length);
}

void rtnl_add(struct rtnl_request *request, uint16_t type, const void *data, size_t length)
{
    struct rtattr attribute = {.rta_len = (uint16_t)RTA_LENGTH(length), .rta_type = type};

    append(request, &attribute, sizeof(attribute));
    append(request, data, length);
}

size_t rtnl_nest(struct rtnl_request *request, uint16_t type)
{
    size_t at = request->length;

    rtnl_add(request, (uint16_t)(type | NLA_F_NESTED), NULL, 0);
    return at;
}

void rtnl_end(struct rtnl_request *request, size_t nest)
{
    struct rtattr *attribute = (struct rtattr *)(request->bytes + nest);

    attribute->rta_len = (uint16_t)(request->length - nest);
}

/* ---- answers ---- */

/* Keeps errno and the kernel's words (the extended acknowledgement's NLMSGERR_ATTR_MSG). */
static int take_error(struct rtnl *rtnl, const struct nlmsghdr *message)
{
    const struct nlmsgerr *error = NLMSG_DATA(message);
    const struct rtattr *at[NLMSGERR_ATTR_MSG + 1];
    size_t body = sizeof(*error);

    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*error)))
        return fail(rtnl, EPROTO);
    if (error->error == 0)
        return 0;
    fail(rtnl, -error->error);
    if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
        return CULVERT_ESYSTEM;
    if (!(message->nlmsg_flags & NLM_F_CAPPED) && error->msg.nlmsg_len > sizeof(error->msg))
        body += NLMSG_ALIGN(error->msg.nlmsg_len - sizeof(error->msg));
    if (rtnl_attributes(message, body, at, NLMSGERR_ATTR_MSG) && at[NLMSGERR_ATTR_MSG])
        rtnl_string(at[NLMSGERR_ATTR_MSG], rtnl->text, sizeof(rtnl->text));
    return CULVERT_ESYSTEM;
}

struct answer {
    bool done;
    int error;
};

static void take_message(struct rtnl *rtnl, const struct nlmsghdr *message, struct answer *answer,
                         rtnl_each_fn each, void *arg)
{
    if (message->nlmsg_seq != rtnl->sequence)
        return;
    if (message->nlmsg_type == NLMSG_DONE) {
        answer->done = true;
    } else if (message->nlmsg_type == NLMSG_ERROR) {
        int error = take_error(rtnl, message);

        if (!answer->error)
            answer->error = error;
        answer->done = true;
    } else if (message->nlmsg_type >= NLMSG_MIN_TYPE) {
        if (!answer->error && each)
            answer->error = each(arg, message);
    }
}

/* As NLMSG_OK, which compares signed with unsigned. `left` may be negative at the end. */
static bool message_fits(const struct nlmsghdr *message, int left)
{
    return left >= (int)sizeof(*message) && message->nlmsg_len >= sizeof(*message) &&
           message->nlmsg_len <= (unsigned)left;
}

static int read_answers(struct rtnl *rtnl, struct answer *answer, rtnl_each_fn each, void *arg)
{
    while (!answer->done) {
        ssize_t got = recv(rtnl->fd, rtnl->buffer, RTNL_BUFFER_BYTES, 0);
        int left = (int)got;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int errnum = errno;

            fail(rtnl, errnum);
            return errnum == EAGAIN ? CULVERT_ETIMEOUT : CULVERT_ESYSTEM;
        }
        for (struct nlmsghdr *message = (struct nlmsghdr *)rtnl->buffer;
             message_fits(message, left); message = NLMSG_NEXT(message, left))
            take_message(rtnl, message, answer, each, arg);
    }
    return answer->error;
}

int rtnl_talk(struct rtnl *rtnl, struct rtnl_request *request, rtnl_each_fn each, void *arg)
{
    struct nlmsghdr *header = (struct nlmsghdr *)request->bytes;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct answer answer = {0};

    if ((header->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
        header->nlmsg_flags |= NLM_F_ACK;
    header->nlmsg_seq = ++rtnl->sequence;
    if (sendto(rtnl->fd, request->bytes, request->length, 0, (struct sockaddr *)&kernel,
               sizeof(kernel)) < 0)
        return fail(rtnl, errno);
    return read_answers(rtnl, &answer, each, arg);
}

int rtnl_read_events(struct rtnl *rtnl, rtnl_each_fn each, void *arg)
{
    ssize_t got = recv(rtnl->fd, rtnl->buffer, RTNL_BUFFER_BYTES, 0);
    int left = (int)got;
    int count = 0;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < 0)
        return errno == ENOBUFS ? CULVERT_EFULL : fail(rtnl, errno);
    for (struct nlmsghdr *message = (struct nlmsghdr *)rtnl->buffer; message_fits(message, left);
         message = NLMSG_NEXT(message, left)) {
        count++;
        if (message->nlmsg_type >= NLMSG_MIN_TYPE)
            each(arg, message);
    }
    return count;
}

/* ---- attributes ---- */

static void collect(const struct rtattr *first, int left, const struct rtattr **at, unsigned max)
{
    memset(at, 0, (max + 1) * sizeof(*at));
    for (const struct rtattr *one = first; RTA_OK(one, left); one = RTA_NEXT(one, left)) {
        unsigned type = one->rta_type & NLA_TYPE_MASK;

        if (type <= max)
            at[type] = one;
    }
}

bool rtnl_attributes(const struct nlmsghdr *message, size_t body, const struct rtattr **at,
                     unsigned max)
{
    size_t start = NLMSG_ALIGN(NLMSG_LENGTH(body));

    if (message->nlmsg_len < NLMSG_LENGTH(body))
        return false;
    if (start > message->nlmsg_len)
        start = message->nlmsg_len;
    collect((const struct rtattr *)((const char *)message + start),
            (int)(message->nlmsg_len - start), at, max);
    return true;
}

bool rtnl_nested(const struct rtattr *nest, const struct rtattr **at, unsigned max)
{
    if (!nest)
        return false;
    collect(RTA_DATA(nest), (int)RTA_PAYLOAD(nest), at, max);
    return true;
}

static bool read_value(const struct rtattr *attribute, void *to, size_t size)
{
    if (!attribute || RTA_PAYLOAD(attribute) < size)
        return false;
    memcpy(to, RTA_DATA(attribute), size);
    return true;
}

uint32_t rtnl_u32(const struct rtattr *attribute)
{
    uint32_t value = 0;

    read_value(attribute, &value, sizeof(value));
    return value;
}

uint16_t rtnl_u16(const struct rtattr *attribute)
{
    uint16_t value = 0;

    read_value(attribute, &value, sizeof(value));
    return value;
}

uint8_t rtnl_u8(const struct rtattr *attribute)
{
    uint8_t value = 0;

    read_value(attribute, &value, sizeof(value));
    return value;
}

void rtnl_string(const struct rtattr *attribute, char *to, size_t size)
{
    size_t length = 0;

    if (attribute)
        length = strnlen(RTA_DATA(attribute), RTA_PAYLOAD(attribute));
    if (length >= size)
        length = size - 1;
    if (length)
        memcpy(to, RTA_DATA(attribute), length);
    to[length] = '\0';
}

/* ---- addresses ---- */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

bool rtnl_address(const struct rtattr *attribute, uint8_t to[16])
{
    if (!attribute)
        return false;
    if (RTA_PAYLOAD(attribute) == 16) {
        memcpy(to, RTA_DATA(attribute), 16);
        return true;
    }
    if (RTA_PAYLOAD(attribute) != 4)
        return false;
    memcpy(to, mapped, sizeof(mapped));
    memcpy(to + 12, RTA_DATA(attribute), 4);
    return true;
}

int rtnl_family(const uint8_t address[16])
{
    return memcmp(address, mapped, sizeof(mapped)) ? AF_INET6 : AF_INET;
}

const uint8_t *rtnl_address_bytes(const uint8_t address[16], size_t *length)
{
    bool v4 = rtnl_family(address) == AF_INET;

    *length = v4 ? 4 : 16;
    return v4 ? address + 12 : address;
}

const char *rtnl_address_text(const uint8_t address[16], char *to)
{
    size_t length;
    const uint8_t *bytes = rtnl_address_bytes(address, &length);

    if (!inet_ntop(length == 4 ? AF_INET : AF_INET6, bytes, to, INET6_ADDRSTRLEN))
        to[0] = '\0';
    return to;
}
