-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Version 3: limits over all hosts: rates, kernels and GPU memory. A host has a share of a limit, and
-- sets the limit of its own registry to that share.
--
-- Shares are granted as chunks of budgets are: the row of the limit is locked from the look at what is
-- free to the commit, so what is granted never exceeds the limit by a grant. Kernels and GPU memory
-- that a host holds beyond its share count too; then, and if the limit is lowered, it is exceeded.
--
-- Shares of kernels and GPU memory leave a host when it returns them, when its machine has booted, or
-- when an operator forgets it. Shares of a rate are in force only under a lease that the host renews;
-- after its end another host takes them. Model: tests/model/fleet_lease.pml.
--
-- Locks are taken in the order fleet, host, total, budget, chunk, fleet_limit, share; limits in the
-- order of their keys. One more error of our own:
--   K2F05  the lease of the host had ended, and its shares were taken: greet anew

set local search_path = k2k_fleet, pg_temp;

create table fleet_limit (
	tenant u64 not null,
	fleet_gen bigint not null,
	kind text not null check (kind in ('rate', 'kernels', 'gpu_memory')),
	total u64,
	alone u64 not null default 0,
	granted numeric not null default 0,
	short_at timestamptz,
	primary key (tenant, fleet_gen, kind)) with (fillfactor = 45);
comment on table fleet_limit is
	'A limit of a tenant on all hosts together: messages a second, kernels, or bytes of GPU memory. total is null if it is no limit over the fleet any more';
comment on column fleet_limit.alone is 'Of a rate: the limit of each host while it has no lease';
comment on column fleet_limit.granted is 'The sum of share.granted';
comment on column fleet_limit.short_at is 'When a host last asked for more than was free';

create table share (
	run uuid not null,
	generation u64 not null,
	kind text not null,
	tenant u64 not null,
	fleet_gen bigint not null,
	amount u64 not null default 0,
	held numeric not null default 0,
	closed boolean not null default false,
	granted numeric generated always as (case when closed then 0 else greatest(amount, held) end) stored,
	primary key (run, generation, kind),
	foreign key (run, generation) references registration,
	foreign key (tenant, fleet_gen, kind) references fleet_limit) with (fillfactor = 45);
comment on table share is
	'The share of a limit that a tenant has in one run. closed: it has ended, or an operator has forgotten its host';
comment on column share.held is
	'Kernels and GPU memory that were held when the host last asked for a share or returned some';
create index on share (tenant, fleet_gen, kind);

alter table host
	add column token uuid,
	add column lease_ms integer not null default 5000 check (lease_ms between 1000 and 20000),
	add column renewed_at timestamptz,
	add column greeted_at timestamptz,
	add column taken_epoch bigint;
comment on column host.token is 'Another one with each renewal of the lease; null: it has no lease';
comment on column host.taken_epoch is 'Its agent of this epoch was late: the shares of rates were taken';

-- Another database than before, or one that was a standby: what it lacks may still be in force.
create table database_seen (
	only_row boolean primary key default true check (only_row),
	epoch text not null,
	since timestamptz not null);
comment on table database_seen is 'One row: which server the database is on, and since when';
insert into database_seen (epoch, since) values (database_epoch(), '-infinity');

-- How long others wait after a renewal: the lease, and for clocks of another pace a tenth of it, at
-- least a second.
create function hold_time(lease_ms integer) returns interval
	language sql immutable security definer set search_path = k2k_fleet, pg_temp
	as $$ select (lease_ms + greatest(lease_ms / 10, 1000)) * interval '1 millisecond' $$;

-- Whether every lease is known here: not for the longest of them after the database was replaced.
create function is_settled() returns boolean
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	here text := database_epoch();
begin
	update database_seen set epoch = here, since = clock_timestamp() where epoch <> here;
	return (select s.since < clock_timestamp() - hold_time((select max(lease_ms) from host)) from database_seen s);
end $$;

create view limit_state as
	select l.tenant, l.fleet_gen, l.kind, l.total, l.alone, l.granted,
		greatest(l.total - l.granted, 0) as free,
		greatest(l.granted - l.total, 0) as excess,
		coalesce(sum(s.amount) filter (where s.closed), 0) as written_off,
		l.total + case l.kind when 'rate' then l.alone * (select count(*) from host) else
			coalesce(sum(s.amount) filter (where s.closed), 0) end as bound
	from fleet_limit l join definition d using (tenant, fleet_gen) left join share s using (tenant, fleet_gen, kind)
	where l.total is not null and not d.deleted
	group by l.tenant, l.fleet_gen, l.kind;
comment on view limit_state is
	'The limits over the fleet. excess: so much more is granted than the limit, since it was lowered, or hosts hold more. written_off: shares of hosts that were forgotten. bound: what may be in force on all hosts together once excess is 0';

create view share_state as
	select s.tenant, s.fleet_gen, s.kind, r.host,
		case when s.closed then 'forgotten' else g.state end as state,
		s.amount, s.held,
		case when s.kind = 'rate' and r.run = h.run and h.token is not null then
			greatest(extract(epoch from clock_timestamp() - h.renewed_at), 0) end as lease_age_s,
		h.lease_ms / 1000.0 as lease_s, s.run, s.generation
	from share s join registration g using (run, generation) join run r using (run) join host h on h.name = r.host
	where s.amount > 0 or not s.closed;
comment on view share_state is
	'The shares of each host, in each of its runs. A share of a rate is in force there for lease_s after each renewal, whose age is lease_age_s';

create function charge_limit() returns trigger
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
begin
	update fleet_limit set granted = granted + new.granted - old.granted
		where tenant = new.tenant and fleet_gen = new.fleet_gen and kind = new.kind;
	return null;
end $$;
create trigger charge_changed after update on share for each row when (new.granted <> old.granted)
	execute function charge_limit();

create function lock_limits_of(runs uuid[]) returns void
	language sql security definer set search_path = k2k_fleet, pg_temp
	as $$
	select from fleet_limit l where (l.tenant, l.fleet_gen) in
			(select s.tenant, s.fleet_gen from share s where s.run = any (runs))
		order by l.tenant, l.fleet_gen, l.kind for no key update
$$;

-- ---- for agents --------------------------------------------------------------------------------

create or replace function speaks_for(who text, agent_epoch bigint) returns uuid
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	h host := own_host(who);
begin
	if h.epoch = agent_epoch + 1 and h.taken_epoch = agent_epoch then
		raise exception 'the lease of host "%" had ended, and its shares were taken', who using errcode = 'K2F05';
	end if;
	if h.epoch <> agent_epoch then
		raise exception 'another agent has replaced this one as host "%"', who using errcode = 'K2F02';
	end if;
	update host set seen_at = clock_timestamp() where name = who;
	return h.run;
end $$;

-- As before, and: `seen` is the epoch that the registry knows, which the new one is above, also
-- in a database that is an older one. What another boot of the machine had is over.
drop function hello(text, uuid, uuid, text);
create function hello(who text, this_run uuid, this_boot uuid, this_registry text, seen bigint default 0)
	returns table (epoch bigint, database_epoch text)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	h host := own_host(who);
	next_epoch bigint := greatest(h.epoch, least(seen, 1000000000000000)) + 1;
	ended uuid[];
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
	ended := array(select r.run from run r where r.host = who and r.boot_id <> this_boot
		and exists (select from share s where s.run = r.run and (s.granted > 0 or s.amount > 0)));
	perform lock_limits_of(ended);
	update share set amount = 0, held = 0, closed = true where run = any (ended);
	update host set epoch = next_epoch, seq = 0, run = this_run, boot_id = this_boot,
		registry = this_registry, database_epoch = database_epoch(), version = 0,
		seen_at = clock_timestamp(), greeted_at = clock_timestamp(), taken_epoch = null where name = who;
	return query select next_epoch, database_epoch();
end $$;

create or replace function finish(who text, agent_epoch bigint, this_generation numeric, admitted_total numeric,
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
	perform from fleet_limit l where exists (select from share s where s.run = this_run
			and s.generation = this_generation and s.tenant = l.tenant and s.fleet_gen = l.fleet_gen)
		order by l.tenant, l.fleet_gen, l.kind for no key update;
	update share set amount = 0, held = 0, closed = true
		where run = this_run and generation = this_generation and (amount > 0 or not closed);
end $$;

-- How many hosts may have a share.
create function sharers(of_tenant numeric, of_gen bigint, of_kind text) returns bigint
	language sql security definer set search_path = k2k_fleet, pg_temp
	as $$
	select count(*) from share s join registration r using (run, generation)
		where s.tenant = of_tenant and s.fleet_gen = of_gen and s.kind = of_kind and not s.closed
			and r.state in ('planned', 'open')
$$;

-- The limits over the fleet of the host's tenants, and its shares. short: another host needs what
-- this one does not use; of a rate, another host has less than the fair part. excess: more is granted
-- than the limit. step: the least that it is worth to ask for.
create function shares(who text, agent_epoch bigint)
	returns table (generation u64, kind text, amount u64, closed boolean, short boolean, excess boolean, step numeric,
		fair numeric, alone u64)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	this_run uuid := speaks_for(who, agent_epoch);
begin
	return query select r.generation, l.kind, coalesce(s.amount, 0)::u64, coalesce(s.closed, false),
			l.granted > l.total or coalesce(l.short_at > clock_timestamp() - interval '5 seconds', false),
			l.granted > l.total, greatest(div(l.total, 64), 1),
			div(l.total, greatest(sharers(l.tenant, l.fleet_gen, l.kind), 1)),
			l.alone
		from registration r
		join fleet_limit l on l.tenant = r.tenant and l.fleet_gen = r.fleet_gen and l.total is not null
		left join share s on s.run = r.run and s.generation = r.generation and s.kind = l.kind
		where r.run = this_run and r.state in ('planned', 'open');
end $$;

-- As draw(): each share that is what the agent believes (`had`) becomes `used` and `ask` more, or a
-- multiple of `ask` while much is free, as far as that is free. Answers what it is now.
create function draw_shares(who text, agent_epoch bigint, draw_seq bigint, generations numeric[], kinds text[],
	had numeric[], used_now numeric[], asks numeric[])
	returns table (generation u64, kind text, amount u64)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	this_run uuid := speaks_for(who, agent_epoch);
	n record;
	l fleet_limit;
	s share;
	free numeric;
	hosts bigint;
	fair numeric;
	wanted numeric;
begin
	update host set seq = draw_seq where name = who and seq < draw_seq;
	if found then
		perform from fleet_limit l where (l.tenant, l.fleet_gen) in (select r.tenant, r.fleet_gen from registration r
				where r.run = this_run and r.generation = any (generations))
			order by l.tenant, l.fleet_gen, l.kind for no key update;
		update registration r set state = 'open'
			where r.run = this_run and r.generation = any (generations) and r.state = 'planned';
		for n in select r.tenant, r.fleet_gen, u.* from unnest(generations, kinds, had, used_now, asks)
				as u(generation, kind, had, used, ask)
				join registration r on r.run = this_run and r.generation = u.generation and r.state = 'open' loop
			continue when not exists (select from fleet_limit where tenant = n.tenant and fleet_gen = n.fleet_gen
				and kind = n.kind and total is not null);
			insert into share (run, generation, kind, tenant, fleet_gen)
				values (this_run, n.generation, n.kind, n.tenant, n.fleet_gen) on conflict do nothing;
			select * into s from share where run = this_run and generation = n.generation and kind = n.kind;
			continue when s.closed or s.amount <> n.had or (n.kind = 'rate' and not is_settled());
			if n.kind <> 'rate' then
				update share set held = n.used where run = this_run and generation = n.generation and kind = n.kind
					returning granted into s.granted;
			end if;
			select * into l from fleet_limit where tenant = n.tenant and fleet_gen = n.fleet_gen and kind = n.kind;
			free := greatest(l.total - l.granted, 0);
			hosts := sharers(n.tenant, n.fleet_gen, n.kind);
			fair := greatest(div(l.total, hosts), 1);
			wanted := least(n.used + greatest(div(free / 2 / hosts, n.ask), 1) * n.ask, s.granted + free,
				18446744073709551614);
			if n.kind = 'rate' and l.short_at > clock_timestamp() - interval '5 seconds' then
				wanted := least(wanted, fair); -- what others return is for those that have less
			end if;
			update share set amount = wanted
				where run = this_run and generation = n.generation and kind = n.kind and amount < wanted;
			if s.granted + free < n.used + n.ask and (n.kind <> 'rate' or s.amount < fair) then
				update fleet_limit set short_at = clock_timestamp()
					where tenant = n.tenant and fleet_gen = n.fleet_gen and kind = n.kind;
			end if;
		end loop;
	end if;
	return query select s.generation, s.kind, s.amount from unnest(generations, kinds) as u(generation, kind)
		join share s on s.run = this_run and s.generation = u.generation and s.kind = u.kind where not s.closed;
end $$;

-- As give_back(). Of a share that was forgotten, `keep` is what is held.
create function give_back_shares(who text, agent_epoch bigint, return_seq bigint, generations numeric[],
	kinds text[], had numeric[], keep numeric[])
	returns table (generation u64, kind text, amount u64)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	this_run uuid := speaks_for(who, agent_epoch);
begin
	update host set seq = return_seq where name = who and seq < return_seq;
	if found then
		perform lock_limits_of(array[this_run]);
		update share s set amount = u.keep, held = 0, closed = false
			from unnest(generations, kinds, had, keep) as u(generation, kind, had, keep), registration r
			where s.run = this_run and s.generation = u.generation and s.kind = u.kind and s.amount = u.had
				and (s.closed or u.keep < s.amount)
				and r.run = s.run and r.generation = s.generation and r.state = 'open';
	end if;
	return query select s.generation, s.kind, s.amount from unnest(generations, kinds) as u(generation, kind)
		join share s on s.run = this_run and s.generation = u.generation and s.kind = u.kind where not s.closed;
end $$;

-- Another token: the lease begins anew. old_over: the agent is there for so long that no lease of an
-- earlier run of this host is left. Answers which hosts have not renewed for half of their leases.
create function renew(who text, agent_epoch bigint, renew_seq bigint, this_lease_ms integer, old_over boolean)
	returns table (host text, token uuid, hold_ms bigint)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	this_run uuid := speaks_for(who, agent_epoch);
	h host;
	old uuid[];
begin
	update host set seq = renew_seq, token = gen_random_uuid(), lease_ms = this_lease_ms, renewed_at = clock_timestamp()
		where name = who and seq < renew_seq returning * into h;
	if not found then
		raise exception 'a later statement of host "%" was executed', who using errcode = 'K2F04';
	end if;
	if old_over and h.greeted_at < clock_timestamp() - interval '22 seconds' then
		old := array(select r.run from run r where r.host = who and r.run <> this_run
			and exists (select from share s where s.run = r.run and s.kind = 'rate' and s.amount > 0));
		perform lock_limits_of(old);
		update share set amount = 0, closed = true where run = any (old) and kind = 'rate' and amount > 0;
	end if;
	return query select o.name, o.token, (extract(epoch from hold_time(o.lease_ms)) * 1000)::bigint from host o
		where o.name <> who and o.renewed_at < clock_timestamp() - o.lease_ms / 2 * interval '1 millisecond'
			and exists (select from share s join run r on r.run = s.run
				where r.host = o.name and s.kind = 'rate' and s.amount > 0);
end $$;

-- The host's lease is over, and what its agent sends of it: it has to greet anew. Its row is locked.
create function end_lease(of_host text) returns void
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	runs uuid[] := array(select r.run from run r where r.host = of_host);
begin
	perform lock_limits_of(runs);
	update share set amount = 0 where run = any (runs) and kind = 'rate' and amount > 0;
	update host set taken_epoch = epoch, epoch = epoch + 1, seq = 0, token = null where name = of_host;
end $$;

-- Takes the shares of rates of a host whose token was `seen` unchanged for its lease and the margin,
-- by the clock of this host and by that of the database.
create function take(who text, agent_epoch bigint, other text, seen uuid) returns boolean
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	o host;
begin
	if not exists (select from host h where h.name = who and h.role = session_user and h.epoch = agent_epoch) then
		perform speaks_for(who, agent_epoch); -- says what is wrong
	end if;
	select * into o from host where name = other and name <> who for no key update;
	if not found or o.token is null or o.token is distinct from seen
			or o.renewed_at > clock_timestamp() - hold_time(o.lease_ms) or not is_settled() then
		return false;
	end if;
	perform end_lease(other);
	return true;
end $$;

-- ---- for administrators --------------------------------------------------------------------------

-- As before, and the limits over the fleet of the tenants whose documents are given: all of them.
drop function change(bigint, numeric[], text[], numeric[], numeric[], numeric[]);
create function change(expected bigint, tenants numeric[], docs text[], budget_tenants numeric[] default '{}',
	budget_engagements numeric[] default '{}', budget_totals numeric[] default '{}', limit_tenants numeric[] default '{}',
	limit_kinds text[] default '{}', limit_totals numeric[] default '{}', limit_alones numeric[] default '{}') returns bigint
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	now_at bigint;
	n record;
	gen bigint;
begin
	select version into now_at from fleet for update;
	if now_at <> expected then
		raise exception 'somebody else has changed definitions meanwhile' using errcode = '40001';
	end if;
	if exists (select from unnest(budget_tenants || limit_tenants) as u(t)
			where u.t not in (select v.t from unnest(tenants, docs) as v(t, d) where v.d is not null)) then
		raise exception 'a budget or a limit is given without the definition of its tenant' using errcode = 'K2F04';
	end if;
	if cardinality(budget_tenants) > 0 then
		-- no report is between its look for budgets and its commit: all use so far is charged below
		lock table total in share mode;
	end if;
	for n in select t, d from unnest(tenants, docs) as u(t, d) order by 1 loop
		now_at := now_at + 1;
		if n.d is null then
			update definition set deleted = true, version = now_at, changed_at = now(),
				changed_by = session_user where tenant = n.t and not deleted;
			if not found then
				raise exception 'tenant % is not defined', n.t using errcode = 'K2F04';
			end if;
			continue;
		end if;
		insert into definition as d (tenant, fleet_gen, doc, version) values (n.t, now_at, n.d, now_at)
			on conflict (tenant) do update
			set fleet_gen = case when d.deleted then excluded.fleet_gen else d.fleet_gen end,
				doc = excluded.doc, deleted = false, version = excluded.version,
				changed_at = now(), changed_by = session_user
			returning fleet_gen into gen;
		perform from budget where tenant = n.t and fleet_gen = gen order by engagement for no key update;
		update budget set total = null where tenant = n.t and fleet_gen = gen and total is not null;
		insert into budget (tenant, fleet_gen, engagement, total)
			select n.t, gen, e, b from unnest(budget_tenants, budget_engagements, budget_totals) as u(t, e, b)
			where t = n.t order by e
			on conflict (tenant, fleet_gen, engagement) do update set total = excluded.total;
		insert into chunk (run, generation, engagement, tenant, fleet_gen, used, closed)
			select r.run, r.generation, b.engagement, n.t, gen,
				greatest(t.ns - t.base_ns + t.corrected_ns - t.base_corrected_ns, 0), r.state = 'final'
			from registration r join total t using (run, generation)
			join budget b on b.tenant = n.t and b.fleet_gen = gen and b.engagement = t.engagement
			where r.tenant = n.t and r.fleet_gen = gen and b.total is not null
			order by b.engagement
			on conflict do nothing;
	end loop;
	-- after all budgets: the order of locks
	perform from fleet_limit l where l.tenant = any (tenants)
		order by l.tenant, l.fleet_gen, l.kind for no key update;
	update fleet_limit l set total = null from unnest(tenants, docs) as u(t, d)
		where l.tenant = u.t and u.d is not null and l.total is not null;
	insert into fleet_limit (tenant, fleet_gen, kind, total, alone)
		select d.tenant, d.fleet_gen, u.kind, u.total, u.alone
		from unnest(limit_tenants, limit_kinds, limit_totals, limit_alones) as u(t, kind, total, alone)
		join definition d on d.tenant = u.t order by 1, 2, 3
		on conflict (tenant, fleet_gen, kind) do update set total = excluded.total, alone = excluded.alone;
	update fleet set version = now_at;
	return now_at;
end $$;

-- As before, and the shares: those of kernels and GPU memory may be granted to others then. Those of
-- rates are free as after a take.
drop function forget(text);
create function forget(who text)
	returns table (tenant u64, fleet_gen bigint, kind text, engagement u64, run uuid, drawn u64, used numeric,
		written_off numeric)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	h host;
	heard_ago numeric;
	rows_found bigint := 0;
	here bigint;
begin
	select * into h from host where name = who for no key update;
	if not found then
		raise exception 'there is no host "%"', who using errcode = 'K2F04';
	end if;
	heard_ago := extract(epoch from clock_timestamp() - h.seen_at);
	perform from budget b where exists (select from chunk c join run r using (run)
			where r.host = who and not c.closed
				and c.tenant = b.tenant and c.fleet_gen = b.fleet_gen and c.engagement = b.engagement)
		order by b.tenant, b.fleet_gen, b.engagement for no key update;
	return query update chunk c set closed = true, written_off = c.written_off + c.drawn - c.used
		from run r where r.run = c.run and r.host = who and not c.closed and c.drawn > c.used
			and (r.run <> h.run or heard_ago > 30)
		returning c.tenant, c.fleet_gen, 'budget', c.engagement, c.run, c.drawn, c.used, c.drawn - c.used;
	get diagnostics rows_found = row_count;
	perform lock_limits_of(array(select r.run from run r where r.host = who));
	return query update share s set closed = true
		from run r where r.run = s.run and r.host = who and not s.closed and s.granted > 0
			and s.kind <> 'rate' and (r.run <> h.run or heard_ago > 30)
		returning s.tenant, s.fleet_gen, s.kind, null::u64, s.run, greatest(s.amount, s.held)::u64, null::numeric,
			s.amount::numeric;
	get diagnostics here = row_count;
	rows_found := rows_found + here;
	if heard_ago > 30 then
		return query select s.tenant, s.fleet_gen, s.kind, null::u64, s.run, s.amount, null::numeric, 0::numeric
			from share s join run r using (run) where r.host = who and s.kind = 'rate' and s.amount > 0;
		get diagnostics here = row_count;
		rows_found := rows_found + here;
		if here > 0 then
			perform end_lease(who);
		end if;
	end if;
	if rows_found = 0 and heard_ago <= 30 and (exists (select from chunk c
			where c.run = h.run and not c.closed and c.drawn > c.used)
			or exists (select from share s where s.run = h.run and not s.closed and s.granted > 0)) then
		raise exception 'host "%" was heard % seconds ago: it is forgotten after 30 seconds at the earliest', who,
			round(heard_ago) using errcode = 'K2F02';
	end if;
end $$;

revoke all on all functions in schema k2k_fleet from public;
grant select on fleet_limit, share, database_seen, limit_state, share_state to k2k_fleet_admin, k2k_fleet_reader;
grant execute on function hello, shares, draw_shares, give_back_shares, renew, take to k2k_fleet_agent;
grant execute on function change, forget to k2k_fleet_admin;
insert into migration (number) values (3);
