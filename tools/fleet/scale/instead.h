/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * instead.h - the agents of this program call these in place of a registry, of documents, and of
 * the database directly
 *
 * It comes before all other headers, so their prototypes are those of the functions here.
 */
#ifndef K2K_FLEET_SCALE_INSTEAD_H
#define K2K_FLEET_SCALE_INSTEAD_H

/* registry.c */
#define fetch_list scale_fetch_list
#define tenants_load_all scale_tenants_load_all
#define document_read_text scale_document_read_text
#define plan_free_names scale_plan_free_names
#define plan_carry_out_as scale_plan_carry_out_as
#define k2k_registry_info scale_registry_info
#define k2k_tenant_get scale_tenant_get
#define k2k_batch_begin scale_batch_begin
#define k2k_batch_end scale_batch_end
#define k2k_budget_set_renewing scale_budget_set_renewing
#define k2k_tenant_update scale_tenant_update
#define k2k_shares_get scale_shares_get
#define k2k_shares_hold scale_shares_hold

/* statements.c */
#define db_call scale_db_call
#define db_open scale_db_open

#endif
