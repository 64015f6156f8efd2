/* SPDX-License-Identifier: Apache-2.0 */
/* Between the protocol's keys, requests and responses and those of the store. */
#ifndef CULVERT_FRONTS_ETCD_KV_H
#define CULVERT_FRONTS_ETCD_KV_H

#include "controlplane/fronts/etcd/internal.h"

/* A key with its space before it; `data` NULL: out of memory. */
struct kv_slice etcd_key(struct etcd_call *call, ProtobufCBinaryData key);
/* The keys of a range, kept within the space. False: out of memory. */
bool etcd_keys(struct etcd_call *call, ProtobufCBinaryData key, ProtobufCBinaryData end,
               struct kv_keys *keys);
/* A key of the store without its space. */
ProtobufCBinaryData etcd_bytes(struct kv_slice slice);
ProtobufCBinaryData etcd_key_bytes(struct kv_slice key);
/* A pair as the protocol has it. Its bytes are the pair's. */
void etcd_pair(Mvccpb__KeyValue *to, const struct kv_pair *pair);

/* Requests to commands. False: the call is ended, with what was wrong. Whether the user may is
 * asked, too. */
bool etcd_range_request(struct etcd_call *call, const Etcdserverpb__RangeRequest *request,
                        struct kv_range *range);
bool etcd_put_request(struct etcd_call *call, const Etcdserverpb__PutRequest *request,
                      struct kv_put *put);
bool etcd_delete_request(struct etcd_call *call, const Etcdserverpb__DeleteRangeRequest *request,
                         struct kv_delete *delete);
/* `serializable`: all reads in it say so. */
bool etcd_txn_request(struct etcd_call *call, const Etcdserverpb__TxnRequest *request,
                      struct kv_txn *txn, bool *serializable);

/* Results to responses, but for the header's ids. False: out of memory. */
bool etcd_range_response(struct etcd_call *call, const struct kv_op_result *result,
                         Etcdserverpb__RangeResponse *response);
bool etcd_put_response(struct etcd_call *call, const struct kv_op_result *result,
                       Etcdserverpb__PutResponse *response);
bool etcd_delete_response(struct etcd_call *call, const struct kv_op_result *result,
                          Etcdserverpb__DeleteRangeResponse *response);
bool etcd_txn_response(struct etcd_call *call, const struct kv_result *result,
                       Etcdserverpb__TxnResponse *response);

/* Asks the service, and holds the call until it is dropped by `answer`. */
void etcd_propose(struct etcd_call *call, const struct kv_command *command, kv_answer answer);
void etcd_read(struct etcd_call *call, const struct kv_command *command, bool serializable,
               kv_answer answer);
/* Whether there is an answer and somebody for it; ends the call with the error if there is one. */
bool etcd_answered(struct etcd_call *call, int status, const struct kv_result *result);

/* An id for a lease (lease.c): positive, and hardly ever taken; or an error. */
int64_t etcd_lease_id(void);

/* The handlers. */
void etcd_kv_range(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_kv_put(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_kv_delete(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_kv_txn(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_kv_compact(struct etcd_call *call, const ProtobufCMessage *message);

#endif
