-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Version 2: budgets over all hosts. A host draws a budget in chunks, and sets the budget of its own
-- registry to what it has drawn.
--
-- A chunk is charged with the larger of what was drawn and what was used. What is charged never
-- exceeds the budget by a draw: the row of the budget is locked from the look at what is free to the
-- commit. It exceeds it if the budget is lowered, and if more was used than drawn.
--
-- Locks are taken in the order fleet, host, total, budget, chunk; budgets in the order of their keys.

set local search_path = k2k_fleet, pg_temp;

create table budget (
	tenant u64 not null,
	fleet_gen bigint not null,
	engagement u64 not null,
	total u64,
	charged numeric not null default 0,
	short_at timestamptz,
	primary key (tenant, fleet_gen, engagement)) with (fillfactor = 45);
comment on table budget is
	'GPU time that an engagement of a tenant may use on all hosts together. total is null if it is no budget over the fleet any more';
comment on column budget.charged is 'The sum of chunk.charged';
comment on column budget.short_at is 'When a host last asked for more than was free';

create table chunk (
	run uuid not null,
	generation u64 not null,
	engagement u64 not null,
	tenant u64 not null,
	fleet_gen bigint not null,
	drawn u64 not null default 0,
	used numeric not null default 0,
	closed boolean not null default false,
	written_off numeric not null default 0,
	charged numeric generated always as (case when closed then used else greatest(drawn, used) end) stored,
	primary key (run, generation, engagement),
	foreign key (run, generation) references registration,
	foreign key (tenant, fleet_gen, engagement) references budget) with (fillfactor = 45);
comment on table chunk is
	'What a tenant has drawn and used of a budget in one run. closed: it can use no more of it, or an operator has forgotten its host';
comment on column chunk.used is 'ns - base_ns of total, with corrections';
comment on column chunk.written_off is
	'What had been drawn and not been reported when the host was forgotten, without what turned out to be unused: the use of the budget may exceed it by so much';
create index on chunk (tenant, fleet_gen, engagement);
create index on registration (tenant, fleet_gen);

create view budget_state as
	select b.tenant, b.fleet_gen, b.engagement, b.total,
		coalesce(sum(c.drawn) filter (where not c.closed), 0) as drawn,
		coalesce(sum(c.used), 0) as used,
		b.charged,
		greatest(b.total - b.charged, 0) as free,
		greatest(b.charged - b.total, 0) as overdrawn,
		coalesce(sum(c.written_off), 0) as written_off
	from budget b join definition d using (tenant, fleet_gen) left join chunk c using (tenant, fleet_gen, engagement)
	where b.total is not null and not d.deleted
	group by b.tenant, b.fleet_gen, b.engagement;
comment on view budget_state is
	'The budgets over the fleet. The use is at most total + written_off + what was under way without a reservation when a chunk was used up';

create view chunk_state as
	select c.tenant, c.fleet_gen, c.engagement, r.host,
		case when c.closed and g.state <> 'final' then 'forgotten' else g.state end as state,
		c.drawn, c.used, c.charged, c.written_off, c.run, c.generation
	from chunk c join registration g using (run, generation) join run r using (run);
comment on view chunk_state is 'What each host has drawn, in each of its runs';

-- ---- what is charged ---------------------------------------------------------------------------

create function charge_budget() returns trigger
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
begin
	update budget set charged = charged + new.charged - case when tg_op = 'UPDATE' then old.charged else 0 end
		where tenant = new.tenant and fleet_gen = new.fleet_gen and engagement = new.engagement;
	return null;
end $$;
create trigger charge_new after insert on chunk for each row when (new.charged > 0)
	execute function charge_budget();
create trigger charge_changed after update on chunk for each row when (new.charged <> old.charged)
	execute function charge_budget();

-- Totals were reported: what is used of chunks follows.
create function book_use() returns trigger
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
begin
	if not exists (select from budget) then
		return null;
	end if;
	perform from budget b where (b.tenant, b.fleet_gen, b.engagement) in
			(select r.tenant, r.fleet_gen, n.engagement from changed n
				join registration r on r.run = n.run and r.generation = n.generation
				left join chunk c on c.run = n.run and c.generation = n.generation and c.engagement = n.engagement
				where c.run is null or c.closed or c.used > c.drawn
					or n.ns - n.base_ns + n.corrected_ns - n.base_corrected_ns > c.drawn)
		order by b.tenant, b.fleet_gen, b.engagement for no key update;
	insert into chunk as c (run, generation, engagement, tenant, fleet_gen, used)
		select n.run, n.generation, n.engagement, r.tenant, r.fleet_gen,
			greatest(n.ns - n.base_ns + n.corrected_ns - n.base_corrected_ns, 0)
		from changed n join registration r on r.run = n.run and r.generation = n.generation
		join budget b on b.tenant = r.tenant and b.fleet_gen = r.fleet_gen and b.engagement = n.engagement
		order by r.tenant, r.fleet_gen, n.engagement
		on conflict (run, generation, engagement) do update set used = excluded.used
			where c.used <> excluded.used;
	return null;
end $$;
create trigger book_new after insert on total referencing new table as changed
	for each statement execute function book_use();
create trigger book_changed after update on total referencing new table as changed
	for each statement execute function book_use();

create function lock_budgets_of(this_run uuid, generations numeric[]) returns void
	language sql security definer set search_path = k2k_fleet, pg_temp
	as $$
	select from budget b where (b.tenant, b.fleet_gen) in
			(select r.tenant, r.fleet_gen from registration r
				where r.run = this_run and r.generation = any (generations))
		order by b.tenant, b.fleet_gen, b.engagement for no key update
$$;

-- A tenant has left a host, and all that it used there is known by engagement.
create function close_chunks() returns trigger
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
begin
	perform lock_budgets_of(new.run, array[new.generation::numeric]);
	update chunk set drawn = least(drawn, used), closed = true
		where run = new.run and generation = new.generation;
	return null;
end $$;
create trigger close_final after update on registration for each row
	when (new.state = 'final' and old.state <> 'final' and new.unsplit_ns = 0)
	execute function close_chunks();

-- ---- for agents --------------------------------------------------------------------------------

-- The budgets over the fleet of the host's tenants, and what it has drawn of them. base: what a
-- tenant had used when the agent found it. short: other hosts need what this one doesn't use.
create function chunks(who text, agent_epoch bigint)
	returns table (generation u64, engagement u64, base numeric, drawn u64, closed boolean, short boolean)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	this_run uuid := speaks_for(who, agent_epoch);
begin
	return query select r.generation, b.engagement, greatest(coalesce(t.base_ns + t.base_corrected_ns, 0), 0),
			coalesce(c.drawn, 0)::u64, coalesce(c.closed, false),
			b.charged > b.total or coalesce(b.short_at > clock_timestamp() - interval '30 seconds', false)
		from registration r
		join budget b on b.tenant = r.tenant and b.fleet_gen = r.fleet_gen and b.total is not null
		left join chunk c on c.run = r.run and c.generation = r.generation and c.engagement = b.engagement
		left join total t on t.run = r.run and t.generation = r.generation and t.engagement = b.engagement
		where r.run = this_run and r.state in ('planned', 'open')
		order by 1, 2;
end $$;

-- Draws: each chunk that has what the agent believes (`had`) becomes `used` and `ask` more, or a
-- multiple of `ask` while much is free, as far as that is free. Answers what is drawn now. A late statement,
-- or one that is executed twice, changes nothing.
create function draw(who text, agent_epoch bigint, draw_seq bigint, generations numeric[],
	engagements numeric[], had numeric[], used_now numeric[], asks numeric[])
	returns table (generation u64, engagement u64, drawn u64)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	this_run uuid := speaks_for(who, agent_epoch);
	n record;
	b budget;
	c chunk;
	free numeric;
	share numeric;
	wanted numeric;
begin
	update host set seq = draw_seq where name = who and seq < draw_seq;
	if found then
		perform lock_budgets_of(this_run, generations);
		update registration r set state = 'open'
			where r.run = this_run and r.generation = any (generations) and r.state = 'planned';
		for n in select r.tenant, r.fleet_gen, u.* from unnest(generations, engagements, had, used_now, asks)
				as u(generation, engagement, had, used, ask)
				join registration r on r.run = this_run and r.generation = u.generation and r.state = 'open' loop
			select * into b from budget where tenant = n.tenant and fleet_gen = n.fleet_gen
				and engagement = n.engagement and total is not null;
			continue when not found;
			insert into chunk (run, generation, engagement, tenant, fleet_gen)
				values (this_run, n.generation, n.engagement, n.tenant, n.fleet_gen) on conflict do nothing;
			select * into c from chunk
				where run = this_run and generation = n.generation and engagement = n.engagement;
			continue when c.closed or c.drawn <> n.had;
			free := greatest(b.total - b.charged, 0);
			share := free / 2 / (select count(*) from chunk o where o.tenant = n.tenant
				and o.fleet_gen = n.fleet_gen and o.engagement = n.engagement and not o.closed);
			wanted := least(n.used + greatest(div(share, n.ask), 1) * n.ask, c.charged + free, 18446744073709551615);
			update chunk set drawn = wanted
				where run = this_run and generation = n.generation and engagement = n.engagement and drawn < wanted;
			if c.charged + free < n.used + n.ask then
				update budget set short_at = clock_timestamp()
					where tenant = n.tenant and fleet_gen = n.fleet_gen and engagement = n.engagement;
			end if;
		end loop;
	end if;
	return query select c.generation, c.engagement, c.drawn
		from unnest(generations, engagements) as u(generation, engagement)
		join chunk c on c.run = this_run and c.generation = u.generation and c.engagement = u.engagement
		where not c.closed;
end $$;

-- Returns what is not used: the host has lowered its own budget to `keep` before, and no call that
-- saw more is under way. Of a chunk that was forgotten, it settles what was used.
create function give_back(who text, agent_epoch bigint, return_seq bigint, generations numeric[],
	engagements numeric[], had numeric[], keep numeric[])
	returns table (generation u64, engagement u64, drawn u64)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	this_run uuid := speaks_for(who, agent_epoch);
begin
	update host set seq = return_seq where name = who and seq < return_seq;
	if found then
		perform lock_budgets_of(this_run, generations);
		update chunk c set drawn = u.keep, closed = false, written_off = c.written_off
				- case when c.closed then greatest(c.drawn - greatest(u.keep, c.used), 0) else 0 end
			from unnest(generations, engagements, had, keep) as u(generation, engagement, had, keep)
			where c.run = this_run and c.generation = u.generation and c.engagement = u.engagement
				and c.drawn = u.had and (c.closed or u.keep < c.drawn);
	end if;
	return query select c.generation, c.engagement, c.drawn
		from unnest(generations, engagements) as u(generation, engagement)
		join chunk c on c.run = this_run and c.generation = u.generation and c.engagement = u.engagement
		where not c.closed;
end $$;

-- ---- for administrators --------------------------------------------------------------------------

-- As before, and the budgets over the fleet of the tenants whose documents are given: all of them.
drop function change(bigint, numeric[], text[]);
create function change(expected bigint, tenants numeric[], docs text[], budget_tenants numeric[] default '{}',
	budget_engagements numeric[] default '{}', budget_totals numeric[] default '{}') returns bigint
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
	if exists (select from unnest(budget_tenants) as u(t)
			where u.t not in (select v.t from unnest(tenants, docs) as v(t, d) where v.d is not null)) then
		raise exception 'a budget is given without the definition of its tenant' using errcode = 'K2F04';
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
	update fleet set version = now_at;
	return now_at;
end $$;

-- Writes off what a host has drawn and not reported: in the runs that have ended, and in the present
-- one if the host was not heard for 30 seconds.
create function forget(who text)
	returns table (tenant u64, fleet_gen bigint, engagement u64, run uuid, drawn u64, used numeric, written_off numeric)
	language plpgsql security definer set search_path = k2k_fleet, pg_temp
	as $$
#variable_conflict use_column
declare
	h host;
	heard_ago numeric;
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
		returning c.tenant, c.fleet_gen, c.engagement, c.run, c.drawn, c.used, c.drawn - c.used;
	if not found and heard_ago <= 30 and exists (select from chunk c
			where c.run = h.run and not c.closed and c.drawn > c.used) then
		raise exception 'host "%" was heard % seconds ago: it is forgotten after 30 seconds at the earliest', who,
			round(heard_ago) using errcode = 'K2F02';
	end if;
end $$;

revoke all on all functions in schema k2k_fleet from public;
grant select on budget, chunk, budget_state, chunk_state to k2k_fleet_admin, k2k_fleet_reader;
grant execute on function chunks, draw, give_back to k2k_fleet_agent;
grant execute on function change, forget to k2k_fleet_admin;
insert into migration (number) values (2);
