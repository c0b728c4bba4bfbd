-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Version 4: the same promises for more hosts.
--
-- - What is charged of a budget is added up once a statement, and the hosts that draw of it are
--   counted with it: giving budgets to tenants that N hosts have made N versions of each row, of
--   which the next one had to look at all.
-- - A statement of an agent writes the row of its host once. One that only reads writes nothing, if
--   the host was heard lately.
-- - A host that connects again is told whether the database has all that it has acknowledged: then
--   only what has changed is sent.

set local search_path = k2k_fleet, pg_temp;

-- ---- what is charged ---------------------------------------------------------------------------

alter table budget add column hosts bigint not null default 0;
comment on column budget.hosts is 'How many chunks are not closed';
update budget b set hosts = (select count(*) from chunk c
	where c.tenant = b.tenant and c.fleet_gen = b.fleet_gen and c.engagement = b.engagement and not c.closed);

-- Whoever changes chunks so that these sums change has locked their budgets before, in the order of
-- their keys.
drop trigger charge_new on chunk;
drop trigger charge_changed on chunk;
drop function charge_budget();
create function charge_new() returns trigger
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
begin
	update budget b set charged = b.charged + n.charged, hosts = b.hosts + n.hosts
		from (select tenant, fleet_gen, engagement, sum(charged) as charged,
				count(*) filter (where not closed) as hosts
			from changed group by 1, 2, 3) n
		where b.tenant = n.tenant and b.fleet_gen = n.fleet_gen and b.engagement = n.engagement
			and (n.charged <> 0 or n.hosts <> 0);
	return null;
end $$;
create function charge_changed() returns trigger
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
begin
	update budget b set charged = b.charged + n.charged, hosts = b.hosts + n.hosts
		from (select c.tenant, c.fleet_gen, c.engagement, sum(c.charged - o.charged) as charged,
				sum(o.closed::integer - c.closed::integer) as hosts
			from changed c join before o using (run, generation, engagement)
			where c.charged <> o.charged or c.closed <> o.closed group by 1, 2, 3) n
		where b.tenant = n.tenant and b.fleet_gen = n.fleet_gen and b.engagement = n.engagement;
	return null;
end $$;
create trigger charge_new after insert on chunk referencing new table as changed
	for each statement execute function charge_new();
create trigger charge_changed after update on chunk referencing old table as before new table as changed
	for each statement execute function charge_changed();

-- ---- who speaks for a host ---------------------------------------------------------------------

-- Its row changes with each report and renewal, and no index has what changes.
alter table host set (fillfactor = 45);
alter table host add column agent uuid;
comment on column host.agent is 'The process that greeted last. seq counts its statements, over all its connections';

-- Each numbered statement stores its number in the host's row; that it was heard goes with it.
create function heard() returns trigger
	language plpgsql as $$
begin
	new.seen_at := clock_timestamp();
	return new;
end $$;
create trigger heard before update of seq on host for each row execute function heard();

-- As before, own_host() locks the host's row until the commit. It is written here only where nothing
-- numbered comes: forget() refuses a host that was heard in the last 30 s.
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
	update host set seen_at = clock_timestamp()
		where name = who and seen_at < clock_timestamp() - interval '20 seconds';
	return h.run;
end $$;

-- As before. known: this process greets again, and all that this database had acknowledged up to
-- statement `answered` is there. So it has to send what has changed since. Its next statement has a
-- number above last_seq.
drop function hello(text, uuid, uuid, text, bigint);
create function hello(who text, this_run uuid, this_boot uuid, this_registry text, seen bigint default 0,
	this_agent uuid default null, answered bigint default 0)
	returns table (epoch bigint, database_epoch text, known boolean, last_seq bigint)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	h host := own_host(who);
	here text := database_epoch();
	next_epoch bigint := greatest(h.epoch, least(seen, 1000000000000000)) + 1;
	is_same boolean := coalesce(h.agent = this_agent and h.run = this_run, false);
	is_known boolean := is_same and h.database_epoch = here and h.seq >= answered;
	next_seq bigint := case when is_same then h.seq else 0 end;
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
	if cardinality(ended) > 0 then
		perform lock_limits_of(ended);
		update share set amount = 0, held = 0, closed = true where run = any (ended);
	end if;
	update host set epoch = next_epoch, seq = next_seq, agent = this_agent,
		run = this_run, boot_id = this_boot, registry = this_registry, database_epoch = here,
		version = case when is_known then h.version else 0 end,
		greeted_at = clock_timestamp(), taken_epoch = null where name = who;
	return query select next_epoch, here, is_known, next_seq;
end $$;

-- The same; seq stays, since it counts over all epochs of an agent.
create or replace function end_lease(of_host text) returns void
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	runs uuid[] := array(select r.run from run r where r.host = of_host);
begin
	perform lock_limits_of(runs);
	update share set amount = 0 where run = any (runs) and kind = 'rate' and amount > 0;
	update host set taken_epoch = epoch, epoch = epoch + 1, token = null where name = of_host;
end $$;

-- ---- reports and draws --------------------------------------------------------------------------

-- As before, but one with no totals does not wait for change().
create or replace function report(who text, agent_epoch bigint, report_seq bigint, applied bigint,
	generations numeric[], admitted_totals numeric[], unattributed numeric[],
	of numeric[], engagements numeric[], gpu_ns numeric[], corrected numeric[]) returns void
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	this_run uuid := speaks_for(who, agent_epoch);
begin
	update host set seq = report_seq, version = applied where name = who and seq < report_seq;
	if not found or cardinality(generations) + cardinality(of) = 0 then
		return; -- a late one, or only that the host is there
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

-- All chunks in few statements, since others wait for these budgets. Of several chunks of one budget,
-- one draws: what is free is counted once.
create or replace function draw(who text, agent_epoch bigint, draw_seq bigint, generations numeric[],
	engagements numeric[], had numeric[], used_now numeric[], asks numeric[])
	returns table (generation u64, engagement u64, drawn u64)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	this_run uuid := speaks_for(who, agent_epoch);
begin
	update host set seq = draw_seq where name = who and seq < draw_seq;
	if found and cardinality(generations) > 0 then
		perform lock_budgets_of(this_run, generations);
		update registration r set state = 'open'
			where r.run = this_run and r.generation = any (generations) and r.state = 'planned';
		insert into chunk (run, generation, engagement, tenant, fleet_gen)
			select this_run, r.generation, b.engagement, b.tenant, b.fleet_gen
			from unnest(generations, engagements) as u(generation, engagement)
			join registration r on r.run = this_run and r.generation = u.generation and r.state = 'open'
			join budget b on b.tenant = r.tenant and b.fleet_gen = r.fleet_gen and b.engagement = u.engagement
			where b.total is not null
			on conflict do nothing;
		with asked as (
			select distinct on (b.tenant, b.fleet_gen, b.engagement)
				b.tenant, b.fleet_gen, b.engagement, b.hosts, greatest(b.total - b.charged, 0) as free,
				c.generation, c.charged, u.used, u.ask
			from unnest(generations, engagements, had, used_now, asks) as u(generation, engagement, had, used, ask)
			join registration r on r.run = this_run and r.generation = u.generation and r.state = 'open'
			join chunk c on c.run = this_run and c.generation = u.generation and c.engagement = u.engagement
				and not c.closed and c.drawn = u.had
			join budget b on b.tenant = c.tenant and b.fleet_gen = c.fleet_gen and b.engagement = c.engagement
				and b.total is not null
			order by b.tenant, b.fleet_gen, b.engagement, c.generation
		), granted as (
			select a.*, least(a.used + greatest(div(a.free / 2 / a.hosts, a.ask), 1) * a.ask, a.charged + a.free,
				18446744073709551615) as wanted
			from asked a
		), drawn as (
			update chunk c set drawn = g.wanted from granted g
				where c.run = this_run and c.generation = g.generation and c.engagement = g.engagement
					and c.drawn < g.wanted
		)
		update budget b set short_at = clock_timestamp() from granted g
			where b.tenant = g.tenant and b.fleet_gen = g.fleet_gen and b.engagement = g.engagement
				and g.charged + g.free < g.used + g.ask;
	end if;
	return query select c.generation, c.engagement, c.drawn
		from unnest(generations, engagements) as u(generation, engagement)
		join chunk c on c.run = this_run and c.generation = u.generation and c.engagement = u.engagement
		where not c.closed;
end $$;

-- ---- for administrators --------------------------------------------------------------------------

-- As before, for all tenants in a few statements. Reports wait only while a tenant that hosts have
-- already is given a budget that it did not have.
create or replace function change(expected bigint, tenants numeric[], docs text[], budget_tenants numeric[] default '{}',
	budget_engagements numeric[] default '{}', budget_totals numeric[] default '{}', limit_tenants numeric[] default '{}',
	limit_kinds text[] default '{}', limit_totals numeric[] default '{}', limit_alones numeric[] default '{}') returns bigint
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
declare
	now_at bigint;
	missing numeric;
	new_tenants numeric[];
	new_engagements numeric[];
begin
	select version into now_at from fleet for update;
	if now_at <> expected then
		raise exception 'somebody else has changed definitions meanwhile' using errcode = '40001';
	end if;
	if (select count(*) <> count(distinct t) from unnest(tenants) as u(t)) then
		raise exception 'a tenant is given twice' using errcode = 'K2F04';
	end if;
	if exists (select from unnest(budget_tenants || limit_tenants) as u(t)
			where u.t not in (select v.t from unnest(tenants, docs) as v(t, d) where v.d is not null)) then
		raise exception 'a budget or a limit is given without the definition of its tenant' using errcode = 'K2F04';
	end if;
	select min(u.t) into missing from unnest(tenants, docs) as u(t, d)
		where u.d is null and not exists (select from definition x where x.tenant = u.t and not x.deleted);
	if missing is not null then
		raise exception 'tenant % is not defined', missing using errcode = 'K2F04';
	end if;
	update definition x set deleted = true, version = n.version, changed_at = now(), changed_by = session_user
		from (select t, d, now_at + row_number() over (order by t) as version from unnest(tenants, docs) as u(t, d)) n
		where x.tenant = n.t and n.d is null;
	insert into definition as x (tenant, fleet_gen, doc, version)
		select n.t, n.version, n.d, n.version
		from (select t, d, now_at + row_number() over (order by t) as version from unnest(tenants, docs) as u(t, d)) n
		where n.d is not null order by n.t
		on conflict (tenant) do update
		set fleet_gen = case when x.deleted then excluded.fleet_gen else x.fleet_gen end,
			doc = excluded.doc, deleted = false, version = excluded.version,
			changed_at = now(), changed_by = session_user;
	now_at := now_at + cardinality(tenants);
	-- What hosts have used before of a budget that is new: each report that is booked without it is
	-- committed first. Of a tenant that is new itself there is none; nor if the budget was there: then
	-- all that was used has its chunk.
	select array_agg(u.t), array_agg(u.e) into new_tenants, new_engagements
		from unnest(budget_tenants, budget_engagements) as u(t, e) join definition x on x.tenant = u.t
		where x.fleet_gen <> x.version and not exists (select from budget b
			where b.tenant = x.tenant and b.fleet_gen = x.fleet_gen and b.engagement = u.e);
	if new_tenants is not null then
		lock table total in share mode;
	end if;
	perform from budget b join definition x using (tenant, fleet_gen)
		where b.tenant = any (tenants) and not x.deleted
		order by b.tenant, b.fleet_gen, b.engagement for no key update of b;
	update budget b set total = null from definition x
		where x.tenant = b.tenant and x.fleet_gen = b.fleet_gen and not x.deleted
			and b.tenant = any (tenants) and b.total is not null
			and not exists (select from unnest(budget_tenants, budget_engagements) as u(t, e)
				where u.t = b.tenant and u.e = b.engagement);
	insert into budget as b (tenant, fleet_gen, engagement, total)
		select x.tenant, x.fleet_gen, u.e, u.total
		from unnest(budget_tenants, budget_engagements, budget_totals) as u(t, e, total)
		join definition x on x.tenant = u.t order by 1, 2, 3
		on conflict (tenant, fleet_gen, engagement) do update set total = excluded.total
			where b.total is distinct from excluded.total;
	if new_tenants is not null then
		insert into chunk (run, generation, engagement, tenant, fleet_gen, used, closed)
			select r.run, r.generation, u.e, x.tenant, x.fleet_gen,
				greatest(t.ns - t.base_ns + t.corrected_ns - t.base_corrected_ns, 0), r.state = 'final'
			from unnest(new_tenants, new_engagements) as u(t, e)
			join definition x on x.tenant = u.t
			join registration r on r.tenant = x.tenant and r.fleet_gen = x.fleet_gen
			join total t on t.run = r.run and t.generation = r.generation and t.engagement = u.e;
	end if;
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

revoke all on all functions in schema k2k_fleet from public;
grant execute on function hello to k2k_fleet_agent;
insert into migration (number) values (4);
