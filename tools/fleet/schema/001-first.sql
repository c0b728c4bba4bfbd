-- SPDX-License-Identifier: LGPL-2.1-or-later
-- The schema of a fleet, version 1: what k2k-fleetctl and k2k-fleetd share. Tables and views are an
-- interface: join them with your own data. A number of 64 bits is a u64, numeric(20). What ends in
-- _ns is nanoseconds of GPU time.
--
-- Agents have no right on any table. They call functions, which check who asks. Errors of our own:
--   K2F01  the host does not exist, or belongs to another role
--   K2F02  another agent is the host's: this one was replaced, or the other was seen just now
--   K2F03  the run belongs to another host
--   K2F04  what is asked for contradicts what is recorded

create schema k2k_fleet;
revoke all on schema k2k_fleet from public;

do $$
declare
	role_name text;
begin
	foreach role_name in array array['k2k_fleet_agent', 'k2k_fleet_admin', 'k2k_fleet_reader'] loop
		if not exists (select from pg_roles where rolname = role_name) then
			execute format('create role %I nologin', role_name);
		end if;
	end loop;
end $$;
grant usage on schema k2k_fleet to k2k_fleet_agent, k2k_fleet_admin, k2k_fleet_reader;

set local search_path = k2k_fleet, pg_temp;

create domain u64 as numeric(20) check (value between 0 and 18446744073709551615);

create table migration (
	number integer primary key,
	applied_at timestamptz not null default now());
comment on table migration is 'The changes of this schema that were made, in order';

create table fleet (
	only_row boolean primary key default true check (only_row),
	id uuid not null default gen_random_uuid(),
	version bigint not null default 0);
comment on table fleet is
	'One row. Who changes definitions locks it until the commit, so versions appear in their order, without a gap';
insert into fleet default values;

create table definition (
	tenant u64 primary key check (tenant > 0),
	fleet_gen bigint not null,
	doc text not null,
	deleted boolean not null default false,
	version bigint not null unique,
	changed_at timestamptz not null default now(),
	changed_by text not null default session_user);
comment on table definition is
	'What each tenant is to be on every host: one entry of a document of k2k-tenantctl, as JSON. A deleted one stays as a mark';
comment on column definition.fleet_gen is
	'The version that made the tenant: a tenant that is deleted and made again is another one';

create table host (
	name text primary key check (name ~ '^[A-Za-z0-9._/-]{1,128}$'),
	role name not null,
	epoch bigint not null default 0,
	seq bigint not null default 0,
	run uuid,
	boot_id uuid,
	registry text,
	database_epoch text,
	version bigint not null default 0,
	joined_at timestamptz not null default now(),
	seen_at timestamptz);
comment on table host is 'The hosts. Only the role that is named may speak for one';
comment on column host.epoch is 'Counts the agents: what an earlier one sends is refused';
comment on column host.version is 'All definitions up to this version are in force there, but for those in problem';

create table run (
	run uuid primary key,
	host text not null references host,
	boot_id uuid not null,
	registry text not null,
	began_at timestamptz not null default now(),
	state text not null default 'open' check (state in ('open', 'open-ended')));
comment on table run is
	'A run is the life of one registry; its id is the UUID of the registry. open-ended: the host has another one now, and nobody knows whether this one booked more after its last report';

create table registration (
	run uuid not null references run,
	generation u64 not null,
	tenant u64 not null,
	fleet_gen bigint not null,
	kind text not null check (kind in ('new', 'adopted', 'loaded')),
	state text not null default 'planned'
		check (state in ('planned', 'open', 'final', 'open-ended')),
	admitted u64 not null default 0,
	base_admitted u64 not null default 0,
	unattributed_ns u64 not null default 0,
	base_unattributed_ns u64 not null default 0,
	unsplit_ns u64 not null default 0,
	saturated boolean not null default false,
	epoch bigint not null default 0,
	seq bigint not null default 0,
	primary key (run, generation)) with (fillfactor = 45);
comment on table registration is
	'A tenant in one run. new: registered by the agent. adopted, loaded: it was there before, by hand or from a saved file; the base is what it had booked when the agent found it. final: deregistered, with its last totals. open-ended: it has ended, and may have booked more than was reported. planned: it may not have come to be';
comment on column registration.unattributed_ns is 'GPU time that the host could not book for an engagement';
comment on column registration.unsplit_ns is
	'GPU time that was booked between the last report and the deregistration: its engagement is not known';

create table total (
	run uuid not null,
	generation u64 not null,
	engagement u64 not null,
	ns u64 not null,
	base_ns u64 not null,
	corrected_ns numeric(20) not null,
	base_corrected_ns numeric(20) not null,
	epoch bigint not null,
	seq bigint not null,
	primary key (run, generation, engagement),
	foreign key (run, generation) references registration) with (fillfactor = 45);
comment on table total is
	'GPU time as the hosts reported it, in absolute numbers: a report that comes twice changes nothing. The bill is the sum of ns - base_ns';

create table discrepancy (
	id bigint generated always as identity primary key,
	found_at timestamptz not null default now(),
	run uuid not null,
	generation u64 not null,
	engagement u64,
	what text not null,
	stored numeric(20) not null,
	reported numeric(20) not null,
	epoch bigint not null,
	seq bigint not null);
comment on table discrepancy is
	'A later report with a lower total. The higher one stays. It must not happen: look at that host';

create table problem (
	host text not null references host,
	tenant u64 not null,
	version bigint not null,
	code text not null,
	message text not null,
	since timestamptz not null default now(),
	primary key (host, tenant));
comment on table problem is 'Definitions that are not in force on a host, and why';

-- ---- views -----------------------------------------------------------------------------------

create view bill as
	select r.tenant, r.fleet_gen, t.engagement,
		sum(t.ns - t.base_ns) as gpu_ns,
		sum(t.corrected_ns - t.base_corrected_ns) as corrected_ns,
		count(distinct t.run) as runs,
		count(*) filter (where r.state = 'open-ended') as open_ended
	from total t join registration r using (run, generation)
	group by 1, 2, 3;
comment on view bill is
	'GPU time of each tenant and engagement over the fleet: exact for what was reported. open_ended: how many of the sums may lack what their host booked after its last report';

create view bill_tenant as
	select r.tenant, r.fleet_gen,
		sum(r.admitted - r.base_admitted) as messages,
		sum(r.unattributed_ns - r.base_unattributed_ns) as unattributed_ns,
		sum(r.unsplit_ns) as unsplit_ns,
		count(*) filter (where r.state = 'open-ended') as open_ended,
		count(*) filter (where r.kind = 'loaded') as loaded,
		bool_or(r.saturated) as saturated
	from registration r
	where r.state <> 'planned'
	group by 1, 2;
comment on view bill_tenant is
	'What belongs to a tenant and to none of its engagements. loaded: registrations that came from a saved file; what they booked between the load and the start of the agent is not in the bill';

create view host_state as
	select h.name, h.role, h.registry, h.run, h.epoch, h.version,
		f.version - h.version as behind,
		h.seen_at, extract(epoch from clock_timestamp() - h.seen_at) as age_s,
		(select count(*) from problem p where p.host = h.name) as problems
	from host h cross join fleet f;
comment on view host_state is 'The hosts, how far they are, and when they were heard last';

-- ---- for agents ----------------------------------------------------------------------------

create function schema_version() returns integer
	language sql stable security definer set search_path = k2k_fleet, pg_temp
	as $$ select max(number) from migration $$;

-- Where this database is: another value means that what was acknowledged may be lost.
create function database_epoch() returns text
	language sql volatile security definer set search_path = k2k_fleet, pg_temp
	as $$ select (select id from fleet)::text || '/' || (select system_identifier from pg_control_system())::text
		|| '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) $$;

-- The host, if it is that of the caller's role. Locks its row until the commit.
create function own_host(who text) returns host
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	h host;
begin
	select * into h from host where name = who and role = session_user for no key update;
	if not found then
		raise exception 'host "%" does not exist, or is not that of role "%"', who, session_user
			using errcode = 'K2F01';
	end if;
	return h;
end $$;

-- Locks the host's row until the commit, and returns its run.
create function speaks_for(who text, agent_epoch bigint) returns uuid
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	h host := own_host(who);
begin
	if h.epoch <> agent_epoch then
		raise exception 'another agent has replaced this one as host "%"', who using errcode = 'K2F02';
	end if;
	update host set seen_at = clock_timestamp() where name = who;
	return h.run;
end $$;

create function hello(who text, this_run uuid, this_boot uuid, this_registry text)
	returns table (epoch bigint, database_epoch text)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	h host := own_host(who);
begin
	if h.boot_id <> this_boot and h.seen_at > clock_timestamp() - interval '30 seconds' then
		raise exception 'host "%" is in use by another machine, or was until its reboot % seconds ago',
			who, round(extract(epoch from clock_timestamp() - h.seen_at)) using errcode = 'K2F02';
	end if;
	insert into run (run, host, boot_id, registry) values (this_run, who, this_boot, this_registry)
		on conflict do nothing;
	if (select r.host from run r where r.run = this_run) <> who then
		raise exception 'run % is that of another host', this_run using errcode = 'K2F03';
	end if;
	if h.run <> this_run then
		delete from registration where run = h.run and state = 'planned';
		update registration set state = 'open-ended' where run = h.run and state = 'open';
		update run set state = 'open-ended' where run = h.run;
		update registration set state = 'open' where run = this_run and state = 'open-ended';
		update run set state = 'open' where run = this_run;
	end if;
	update host set epoch = h.epoch + 1, seq = 0, run = this_run, boot_id = this_boot,
		registry = this_registry, database_epoch = database_epoch(), version = 0,
		seen_at = clock_timestamp() where name = who;
	return query select h.epoch + 1, database_epoch();
end $$;

create function definitions(who text, agent_epoch bigint, have bigint, most integer)
	returns table (version bigint, tenant u64, fleet_gen bigint, deleted boolean, doc text)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
begin
	if not exists (select from host h where h.name = who and h.role = session_user and h.epoch = agent_epoch) then
		perform speaks_for(who, agent_epoch); -- says what is wrong
	end if;
	return query select d.version, d.tenant, d.fleet_gen, d.deleted, d.doc from definition d
		where d.version > have order by d.version limit most;
end $$;

create function registrations(who text, agent_epoch bigint)
	returns table (generation u64, tenant u64, fleet_gen bigint, state text)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	this_run uuid := speaks_for(who, agent_epoch);
begin
	return query select r.generation, r.tenant, r.fleet_gen, r.state from registration r
		where r.run = this_run and r.state in ('planned', 'open');
end $$;

-- Before the host registers tenants under these generations: so that no registration is ever
-- without its fleet_gen, whenever the agent is killed.
create function plan_registrations(who text, agent_epoch bigint, generations numeric[], tenants numeric[],
	fleet_gens bigint[]) returns void
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	this_run uuid := speaks_for(who, agent_epoch);
begin
	insert into registration (run, generation, tenant, fleet_gen, kind)
		select this_run, g, t, f, 'new' from unnest(generations, tenants, fleet_gens) as n(g, t, f);
end $$;

-- A tenant that was there before the agent: the fleet counts from these totals on.
create function adopt(who text, agent_epoch bigint, this_generation numeric, this_tenant numeric,
	this_fleet_gen bigint, was_loaded boolean, admitted_total numeric, unattributed numeric,
	engagements numeric[], gpu_ns numeric[], corrected numeric[]) returns void
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	this_run uuid := speaks_for(who, agent_epoch);
begin
	insert into registration (run, generation, tenant, fleet_gen, kind, state, admitted, base_admitted,
			unattributed_ns, base_unattributed_ns)
		values (this_run, this_generation, this_tenant, this_fleet_gen,
			case when was_loaded then 'loaded' else 'adopted' end, 'open', admitted_total, admitted_total,
			unattributed, unattributed)
		on conflict do nothing;
	if not found then
		return; -- repeated
	end if;
	insert into total (run, generation, engagement, ns, base_ns, corrected_ns, base_corrected_ns, epoch, seq)
		select this_run, this_generation, e, n, n, c, c, 0, 0
		from unnest(engagements, gpu_ns, corrected) as u(e, n, c);
end $$;

-- Absolute totals. `report_seq` rises with each report of an agent.
create function report(who text, agent_epoch bigint, report_seq bigint, applied bigint,
	generations numeric[], admitted_totals numeric[], unattributed numeric[],
	of numeric[], engagements numeric[], gpu_ns numeric[], corrected numeric[]) returns void
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	this_run uuid := speaks_for(who, agent_epoch);
begin
	update host set seq = report_seq, version = applied where name = who and seq < report_seq;
	if not found then
		return; -- a late one
	end if;
	if exists (select from unnest(generations || of) as n(g) where not exists
			(select from registration r where r.run = this_run and r.generation = n.g)) then
		raise exception 'a generation is reported that was not planned' using errcode = 'K2F04';
	end if;
	insert into discrepancy (run, generation, engagement, what, stored, reported, epoch, seq)
		select this_run, n.g, null, w.what, w.stored, w.reported, agent_epoch, report_seq
		from unnest(generations, admitted_totals, unattributed) as n(g, a, u)
		join registration r on r.run = this_run and r.generation = n.g
		cross join lateral (values ('messages', r.admitted, n.a), ('unattributed', r.unattributed_ns, n.u))
			as w(what, stored, reported)
		where w.reported < w.stored;
	insert into discrepancy (run, generation, engagement, what, stored, reported, epoch, seq)
		select this_run, n.g, n.e, 'gpu time', t.ns, n.ns, agent_epoch, report_seq
		from unnest(of, engagements, gpu_ns) as n(g, e, ns)
		join total t on t.run = this_run and t.generation = n.g and t.engagement = n.e
		where n.ns < t.ns;
	update registration r set admitted = greatest(r.admitted, n.a),
			unattributed_ns = greatest(r.unattributed_ns, n.u), epoch = agent_epoch, seq = report_seq,
			state = case r.state when 'planned' then 'open' else r.state end,
			saturated = r.saturated or n.u = 18446744073709551615
		from unnest(generations, admitted_totals, unattributed) as n(g, a, u)
		where r.run = this_run and r.generation = n.g;
	insert into total as t (run, generation, engagement, ns, base_ns, corrected_ns, base_corrected_ns, epoch, seq)
		select this_run, g, e, n, 0, c, 0, agent_epoch, report_seq
		from unnest(of, engagements, gpu_ns, corrected) as u(g, e, n, c)
		order by 2, 3
		on conflict (run, generation, engagement) do update
			set ns = greatest(t.ns, excluded.ns), corrected_ns = excluded.corrected_ns,
				epoch = excluded.epoch, seq = excluded.seq;
	update registration r set saturated = true
		from unnest(of, gpu_ns) as n(g, ns)
		where n.ns = 18446744073709551615 and r.run = this_run and r.generation = n.g;
end $$;

-- A registration has ended. Its last totals are given; or null: nobody knows them, and one that was
-- only planned never came to be.
create function finish(who text, agent_epoch bigint, this_generation numeric, admitted_total numeric,
	unattributed numeric, gpu_ns_total numeric, is_final boolean) returns void
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	this_run uuid := speaks_for(who, agent_epoch);
	reported numeric;
begin
	if gpu_ns_total is null then
		delete from registration r where r.run = this_run and r.generation = this_generation
			and r.state = 'planned';
	end if;
	select coalesce(sum(t.ns), 0) into reported from total t
		where t.run = this_run and t.generation = this_generation;
	update registration r set
			state = case when is_final then 'final' else 'open-ended' end,
			admitted = greatest(r.admitted, admitted_total),
			unattributed_ns = greatest(r.unattributed_ns, unattributed),
			unsplit_ns = greatest(coalesce(gpu_ns_total, 0) - reported, 0)
		where r.run = this_run and r.generation = this_generation and r.state in ('planned', 'open');
end $$;

-- All of the host's problems; others are over.
create function problems(who text, agent_epoch bigint, tenants numeric[], versions bigint[], codes text[],
	messages text[]) returns void
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
begin
	perform speaks_for(who, agent_epoch);
	delete from problem p where p.host = who and p.tenant <> all (tenants);
	insert into problem as p (host, tenant, version, code, message)
		select who, t, v, c, left(m, 1000) from unnest(tenants, versions, codes, messages) as n(t, v, c, m)
		on conflict (host, tenant) do update
			set version = excluded.version, code = excluded.code, message = excluded.message;
end $$;

-- ---- for administrators ------------------------------------------------------------------------

-- Sets and deletes definitions, all or none. A version each; one that changes nothing gets none.
-- `expected` is the version that the changes were made from: another one is refused with 40001.
create function change(expected bigint, tenants numeric[], docs text[]) returns bigint
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	now_at bigint;
	n record;
begin
	select version into now_at from fleet for update;
	if now_at <> expected then
		raise exception 'somebody else has changed definitions meanwhile' using errcode = '40001';
	end if;
	for n in select t, d from unnest(tenants, docs) as u(t, d) order by 1 loop
		now_at := now_at + 1;
		if n.d is null then
			update definition set deleted = true, version = now_at, changed_at = now(),
				changed_by = session_user where tenant = n.t and not deleted;
			if not found then
				raise exception 'tenant % is not defined', n.t using errcode = 'K2F04';
			end if;
		else
			insert into definition as d (tenant, fleet_gen, doc, version) values (n.t, now_at, n.d, now_at)
				on conflict (tenant) do update
				set fleet_gen = case when d.deleted then excluded.fleet_gen else d.fleet_gen end,
					doc = excluded.doc, deleted = false, version = excluded.version,
					changed_at = now(), changed_by = session_user;
		end if;
	end loop;
	update fleet set version = now_at;
	return now_at;
end $$;

-- The host of that name is the role's from now on, whose agent may then speak for it.
create function join_host(who text, its_role text) returns void
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
begin
	if not exists (select from pg_roles where rolname = its_role) then
		raise exception 'there is no role "%"; make it: create role "%" login', its_role, its_role
			using errcode = 'undefined_object';
	end if;
	insert into host (name, role) values (who, its_role)
		on conflict (name) do update set role = excluded.role, epoch = host.epoch + 1;
end $$;

revoke all on all functions in schema k2k_fleet from public;
grant select on all tables in schema k2k_fleet to k2k_fleet_admin, k2k_fleet_reader;
grant execute on function schema_version, database_epoch to k2k_fleet_agent, k2k_fleet_admin, k2k_fleet_reader;
grant execute on function hello, definitions, registrations, plan_registrations, adopt, report, finish, problems
	to k2k_fleet_agent;
grant execute on function change, join_host to k2k_fleet_admin;
insert into migration (number) values (1);
