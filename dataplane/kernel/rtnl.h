/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Route netlink, as little of it as the driver needs: requests with attributes, answers one by
 * one, and notifications. RFC 3549; linux/rtnetlink.h.
 */
#ifndef CULVERT_KERNEL_RTNL_H
#define CULVERT_KERNEL_RTNL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

/* What we put into the kernel's tables carries this number (IFA_PROTO, NDA_PROTOCOL), so that only
 * our own is ever taken out again. */
#define RTNL_PROTOCOL_CULVERT 0xc5

#define RTNL_BUFFER_BYTES (64u << 10)
#define RTNL_REQUEST_BYTES 512u
#define RTNL_TEXT_BYTES 160u

struct rtnl {
    int fd;
    uint32_t sequence;
    int errnum;                 /* errno of the last request that failed */
    char text[RTNL_TEXT_BYTES]; /* the kernel's own words on it, or strerror's */
    uint8_t *buffer;            /* RTNL_BUFFER_BYTES */
};

struct rtnl_request {
    _Alignas(struct nlmsghdr) uint8_t bytes[RTNL_REQUEST_BYTES];
    size_t length;
};

/* Opens a socket for requests (answers time out after two seconds). Ends with rtnl_close(). */
int rtnl_open(struct rtnl *rtnl);

/* Opens a non-blocking socket that hears the groups (RTNLGRP_*). */
int rtnl_open_events(struct rtnl *rtnl, const unsigned *groups, size_t count);
void rtnl_close(struct rtnl *rtnl);

/* Starts a request; `body` is the family's own header (struct rtmsg, ...). Requests that outgrow
 * their bytes are a programming error (asserted). */
void rtnl_begin(struct rtnl_request *request, uint16_t type, uint16_t flags, const void *body,
                size_t length);
void rtnl_add(struct rtnl_request *request, uint16_t type, const void *data, size_t length);
size_t rtnl_nest(struct rtnl_request *request, uint16_t type); /* returns what rtnl_end takes */
void rtnl_end(struct rtnl_request *request, size_t nest);

/* Called for each answer; a non-zero return stops (the rest is read and forgotten). */
typedef int (*rtnl_each_fn)(void *arg, const struct nlmsghdr *message);

/* Sends a request and reads its answers up to the end or the acknowledgement. Returns 0,
 * CULVERT_ESYSTEM (errnum and text say why), CULVERT_ETIMEOUT, or what `each` returned. */
int rtnl_talk(struct rtnl *rtnl, struct rtnl_request *request, rtnl_each_fn each, void *arg);

/* Reads what has arrived on an event socket, at most one buffer. Returns the number of messages
 * (0: nothing left), CULVERT_EFULL: the kernel dropped events, read everything anew; or
 * CULVERT_ESYSTEM. */
int rtnl_read_events(struct rtnl *rtnl, rtnl_each_fn each, void *arg);

/* Finds the attributes behind a `body` bytes long family header; at[type] is NULL when absent.
 * Types above `max` are left out. Returns false when the message is too short for its body. */
bool rtnl_attributes(const struct nlmsghdr *message, size_t body, const struct rtattr **at,
                     unsigned max);
bool rtnl_nested(const struct rtattr *nest, const struct rtattr **at, unsigned max);

/* Values; a wrong length reads as 0 or as an empty string. */
uint32_t rtnl_u32(const struct rtattr *attribute);
uint16_t rtnl_u16(const struct rtattr *attribute);
uint8_t rtnl_u8(const struct rtattr *attribute);
void rtnl_string(const struct rtattr *attribute, char *to, size_t size);

/* Copies an address as the tables have it: 16 bytes, IPv4 as ::ffff:a.b.c.d. False: no such
 * attribute, or neither 4 nor 16 bytes. */
bool rtnl_address(const struct rtattr *attribute, uint8_t to[16]);

/* The other way: family (AF_INET, AF_INET6) and where the address' bytes start. */
int rtnl_family(const uint8_t address[16]);
const uint8_t *rtnl_address_bytes(const uint8_t address[16], size_t *length);

/* The address as text, for logs and status. `to` has at least 46 bytes (INET6_ADDRSTRLEN). */
const char *rtnl_address_text(const uint8_t address[16], char *to);

#endif
