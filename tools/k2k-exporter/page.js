/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The status page: requests status.json repeatedly, and shows rates as the difference of two answers.
 *
 * Names in an answer are untrusted: they become text, never markup. At most ROWS tenants are in the
 * document, however many there are; the others are objects in an array. 64-bit counts are strings,
 * which are compared and subtracted exactly.
 */
"use strict";
(() => {
const ROWS = 100, POINTS = 60, NEAR = 0.8, FULL = 0.9, REJECTED = 0.05, NAMED = 5, PATIENCE_MS = 20000;
const LIMITS = ["rate", "budget", "kernels", "gpu_memory"], REASONS = [...LIMITS, "suspended"];
const REASON_NAMES = {rate: "rate", budget: "budget", kernels: "kernel slots", gpu_memory: "GPU memory", suspended: "suspension"};
const PERIODS = {second: {short: "s", seconds: 1}, minute: {short: "min", seconds: 60}, hour: {short: "h", seconds: 3600},
	day: {short: "day", seconds: 86400}};
const byId = id => document.getElementById(id);

/* ---- numbers ---------------------------------------------------------------------- */

/* How much a counter has grown. */
function grown(now, was) {
	if (now.length < 16 && was.length < 16)
		return Math.max(0, Number(now) - Number(was));
	const more = BigInt(now) - BigInt(was);
	return more > 0n ? Number(more) : 0;
}
const grouped = digits => String(digits).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
const compact = new Intl.NumberFormat("en", {notation: "compact", maximumFractionDigits: 1});
function rate(n) {
	return n >= 1e6 ? compact.format(n) : n >= 10 || n === 0 ? grouped(Math.round(n)) : n.toFixed(1);
}
function bytes(text) {
	const names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
	let n = Number(text), i = 0;
	for (; n >= 1024 && i < 6; i++)
		n /= 1024;
	return (i && n < 10 ? n.toFixed(1).replace(".0", "") : Math.round(n)) + " " + names[i];
}
function duration(ns) {
	const s = Number(ns) / 1e9;
	return s === 0 ? "0 s" : s < 1 ? (s * 1e3).toFixed(1) + " ms" : s < 120 ? s.toFixed(1) + " s" : s < 7200 ? (s / 60).toFixed(1) + " min" :
		grouped((s / 3600).toFixed(s < 36e4 ? 1 : 0)) + " h";
}
const share = x => x === null ? "" : x > 0 && x < 0.01 ? "< 1 %" : Math.floor(x * 100 + 1e-9) + " %";
/* Compares decimal digits of any length without converting them. */
const compareDigits = (a, b) => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);

/* ---- the document -------------------------------------------------------------------- */

function make(tag, text, className) {
	const element = document.createElement(tag);
	if (text !== undefined)
		element.textContent = text;
	if (className)
		element.className = className;
	return element;
}
function setText(element, text) {
	if (element.textContent !== text)
		element.textContent = text;
}
function setClass(element, name) {
	if (element.className !== name)
		element.className = name;
}

const SVG = "http://www.w3.org/2000/svg";
/* A chart of the last numbers. */
function makeChart(label) {
	const svg = document.createElementNS(SVG, "svg");
	svg.setAttribute("viewBox", `0 0 ${POINTS - 1} 20`);
	svg.setAttribute("preserveAspectRatio", "none");
	if (label)
		svg.setAttribute("role", "img");
	else
		svg.setAttribute("aria-hidden", "true");     /* the number is in the same row */
	svg.append(document.createElementNS(SVG, "polygon"), document.createElementNS(SVG, "polyline"));
	return svg;
}
/* most: the number at the top of the chart; 0: the highest of the numbers */
function drawChart(svg, numbers, most) {
	const top = most || numbers.reduce((a, b) => Math.max(a, b), 0) || 1, first = POINTS - numbers.length;
	const points = Array.from(numbers, (n, i) => `${first + i},${(19.5 - 19 * Math.min(n / top, 1)).toFixed(1)}`).join(" ");
	if (svg.dataset.points === points)
		return;
	svg.dataset.points = points;
	svg.lastChild.setAttribute("points", points);
	svg.firstChild.setAttribute("points", numbers.length ? `${first},20 ${points} ${POINTS - 1},20` : "");
}
function remember(list, number) {
	list.push(number);
	if (list.length > POINTS)
		list.shift();
}

/* ---- a table that sorts ---------------------------------------------------------------- */

/*
 * columns: {key, title, number, wide, descending, sort(row), show(row)}. sort() returns a number,
 * digits or a word. The first column is the heading of its row.
 */
class Table {
	constructor(id, columns, sorted, descending) {
		this.element = byId(id);
		this.columns = columns;
		this.body = this.element.tBodies[0];
		this.rows = [];
		this.sorted = sorted;
		this.descending = descending;
		this.changed = () => {};
		for (const column of columns) {
			const heading = make("th", undefined, (column.number ? "number " : "") + (column.wide ? "wide" : ""));
			heading.scope = "col";
			if (column.sort) {
				const button = make("button", column.title);
				button.type = "button";
				button.dataset.sort = column.key;
				button.addEventListener("click", () => this.sortBy(column));
				heading.append(button);
			} else {
				heading.textContent = column.title;
			}
			column.heading = heading;
			this.element.tHead.rows[0].append(heading);
		}
		this.announceOrder();
	}
	sortBy(column) {
		this.descending = this.sorted === column.key ? !this.descending : !!column.descending;
		this.sorted = column.key;
		this.announceOrder();
		this.changed();
	}
	announceOrder() {
		for (const column of this.columns)
			if (column.key === this.sorted)
				column.heading.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
			else
				column.heading.removeAttribute("aria-sort");
	}
	order(rows) {
		const column = this.columns.find(one => one.key === this.sorted), sign = this.descending ? -1 : 1;
		const keys = new Map(rows.map(row => [row, column.sort(row)]));
		const compare = column.digits ? compareDigits : (a, b) => a < b ? -1 : a > b ? 1 : 0;
		return rows.sort((a, b) => sign * compare(keys.get(a), keys.get(b)) || compareDigits(a.id, b.id));
	}
	makeRow() {
		const row = this.body.insertRow();
		for (const [i, column] of this.columns.entries()) {
			const cell = make(i ? "td" : "th", undefined, column.wide ? "wide" : "");
			if (!i)
				cell.scope = "row";
			if (column.chart)
				cell.append(makeChart());
			cell.dataset.column = column.key;
			row.append(cell);
		}
		return row;
	}
	show(rows) {
		while (this.body.rows.length < rows.length)
			this.makeRow();
		while (this.body.rows.length > rows.length)
			this.body.deleteRow(-1);
		rows.forEach((row, n) => {
			const cells = this.body.rows[n].cells;
			this.columns.forEach((column, i) => {
				if (column.chart) {
					drawChart(cells[i].firstChild, column.chart(row), column.most && column.most(row));
					return;
				}
				const [text, className] = [].concat(column.show(row));
				setText(cells[i], text);
				setClass(cells[i], [column.number && "number", column.wide && "wide", className].filter(Boolean).join(" "));
			});
		});
	}
}

/* ---- tenants ------------------------------------------------------------------------------ */

/* The rate is this host's share of one over many hosts, which does not hold. */
const isAlone = tenant => tenant.usage.rate_holds === false;
/* What is in force now. */
const rateOf = tenant => isAlone(tenant) ? tenant.quota.rate_alone : tenant.quota.rate;

/*
 * The largest share of a limit that is used, and which limit that is. Of a window of a second the
 * average counts; a longer window and a bucket are shown as they are now.
 */
function useOf(tenant, perSecond) {
	const {quota, usage} = tenant, rate = rateOf(tenant), uses = [];
	const of = (what, used, limit) => limit !== null && Number(limit) > 0 && uses.push([Number(used) / Number(limit), what]);
	if (quota.rate_policy === "bucket")
		of("burst", usage.messages_this_second, quota.burst);
	else if (quota.rate_period !== "second")
		of(`rate of this ${quota.rate_period}`, usage.messages_this_second, rate);
	else if (perSecond !== null)
		of("rate", perSecond, rate);
	of("kernel slots", usage.kernels, quota.kernels);
	of("GPU memory", usage.gpu_memory_bytes, quota.gpu_memory_bytes);
	for (const budget of quota.budgets)
		uses.push([budgetUse(budget), `budget ${budget.engagement}`]);
	return uses.reduce((a, b) => b[0] > a[0] ? b : a, [-1, ""]);
}

/* "5000/s", "30/min", "500/h, burst 20", "10/s alone" */
function rateText(tenant) {
	const quota = tenant.quota, rate = rateOf(tenant), more = isAlone(tenant) ? " alone" : "";
	if (rate === null)
		return "unlimited" + more;
	return `${grouped(rate)}/${PERIODS[quota.rate_period].short}` + (quota.burst === null ? more : `, burst ${grouped(quota.burst)}`);
}
function rateNumber(tenant) {
	const rate = rateOf(tenant);
	return rate === null ? Infinity : Number(rate) / PERIODS[tenant.quota.rate_period].seconds;
}
const budgetUse = budget => Number(budget.budget_ns) > 0 ? Number(budget.used_ns) / Number(budget.budget_ns) : 1;
const rejectedFor = (usage, reason) => reason === "suspended" ? usage.suspended_rejected_total : usage.rejected_total[reason];

const known = new Map();         /* tenants by generation */

/* What the table shows of a tenant, from its last and its current state. */
function rowOf(tenant, seconds) {
	let row = known.get(tenant.generation);
	const was = row && row.tenant, usage = tenant.usage;
	if (!row) {
		row = {id: tenant.id, rates: [], uses: [], reasons: {}, shadows: {}};
		known.set(tenant.generation, row);
	}
	row.tenant = tenant;
	row.admitted = was ? grown(usage.admitted_total, was.usage.admitted_total) / seconds : null;
	row.rejected = was ? 0 : null;
	for (const reason of REASONS) {
		row.reasons[reason] = was ? grown(rejectedFor(usage, reason), rejectedFor(was.usage, reason)) / seconds : 0;
		if (was)
			row.rejected += row.reasons[reason];
	}
	row.shadowed = 0;
	for (const limit of LIMITS) {
		row.shadows[limit] = was ? grown(usage.shadow_rejected_total[limit], was.usage.shadow_rejected_total[limit]) / seconds : 0;
		row.shadowed += row.shadows[limit];
	}
	row.gpu = was ? grown(usage.gpu_ns_total, was.usage.gpu_ns_total) / seconds / 1e9 : null;
	row.unattributed = was ? grown(usage.unattributed_ns, was.usage.unattributed_ns) : 0;
	row.rejectedTotal = REASONS.reduce((sum, reason) => sum + BigInt(rejectedFor(usage, reason)), 0n);
	[row.use, row.useOf] = useOf(tenant, row.admitted);
	if (was)
		remember(row.rates, row.admitted);
	remember(row.uses, Math.max(row.use, 0));
	const asked = row.admitted + row.rejected;
	row.share = asked > 0 ? row.rejected / asked : 0;
	/* the order of attention: tenants that are refused, that would be, that are near a limit, that
	 * are busy */
	row.need = row.rejected > 0 ? 4 + row.share : row.shadowed > 0 ? 3 : row.use >= NEAR ? 1 + Math.min(row.use, 1) : Math.min(row.admitted / 1e12, 0.9);
	return row;
}
function stateOf(row) {
	const named = counts => Object.keys(counts).filter(reason => counts[reason] > 0).map(reason => REASON_NAMES[reason]).join(", ");
	if (row.rejected > 0)
		return ["rejects: " + named(row.reasons), "bad"];
	if (row.tenant.suspended)
		return ["suspended", "warn"];
	if (row.shadowed > 0)
		return ["in shadow, would reject: " + named(row.shadows), "warn"];
	const shadow = row.tenant.quota.shadow ? "in shadow, " : "";
	if (row.use >= NEAR)
		return [`${shadow}${share(row.use)} of ${row.useOf}`, shadow || row.use < FULL ? "warn" : "bad"];
	return row.admitted > 0 ? [`${shadow}active`] : [`${shadow}idle`, "soft"];
}
const limitOf = (limit, text) => limit === null ? "unlimited" : text(limit);
const perSecond = n => n === null ? "" : rate(n);

const tenants = new Table("tenants", [
	{key: "id", title: "Tenant", digits: true, sort: row => row.id, show: row => row.id},
	{key: "name", title: "Name", sort: row => row.tenant.name || "\u{10ffff}", show: row => row.tenant.name || ""},
	{key: "state", title: "State", descending: true, sort: row => row.need, show: stateOf},
	{key: "admitted", title: "Admitted/s", number: true, descending: true, sort: row => row.admitted, show: row => perSecond(row.admitted)},
	{key: "limit", title: "Rate limit", number: true, descending: true, sort: row => rateNumber(row.tenant),
	 show: row => [rateText(row.tenant), isAlone(row.tenant) ? "warn" : ""]},
	{key: "rates", title: "Rate, recent", chart: row => row.rates},
	{key: "rejected", title: "Rejected/s", number: true, descending: true, sort: row => row.rejected,
	 show: row => [perSecond(row.rejected), row.rejected > 0 ? "bad" : ""]},
	{key: "use", title: "Use", number: true, descending: true, sort: row => row.use,
	 show: row => row.use < 0 ? ["no limit", "soft"] : [share(row.use), row.use >= FULL ? "bad" : row.use >= NEAR ? "warn" : ""]},
	{key: "uses", title: "Use, recent", chart: row => row.uses, most: () => 1},
	{key: "kernels", title: "Kernel slots", number: true, descending: true, sort: row => row.tenant.usage.kernels,
	 show: row => `${grouped(row.tenant.usage.kernels)} of ${limitOf(row.tenant.quota.kernels, grouped)}`},
	{key: "memory", title: "GPU memory", number: true, wide: true, descending: true, sort: row => Number(row.tenant.usage.gpu_memory_bytes),
	 show: row => `${bytes(row.tenant.usage.gpu_memory_bytes)} of ${limitOf(row.tenant.quota.gpu_memory_bytes, bytes)}`},
	{key: "gpu", title: "GPU time", number: true, wide: true, digits: true, descending: true, sort: row => row.tenant.usage.gpu_ns_total,
	 show: row => duration(row.tenant.usage.gpu_ns_total)},
	{key: "admitted_total", title: "Admitted", number: true, digits: true, descending: true, sort: row => row.tenant.usage.admitted_total,
	 show: row => grouped(row.tenant.usage.admitted_total)},
	{key: "rejected_total", title: "Rejected", number: true, descending: true, sort: row => row.rejectedTotal,
	 show: row => grouped(row.rejectedTotal)},
], "state", true);

let allRows = [], page = 0;
function shown() {
	const wanted = byId("filter").value.trim(), which = byId("show").value;
	return allRows.filter(row => (row.id.includes(wanted) || (row.tenant.name || "").includes(wanted)) && (which === "all" || (which === "rejected" && row.rejected > 0) ||
		(which === "near" && row.use >= NEAR) || (which === "active" && row.admitted > 0) ||
		(which === "shadow" && row.tenant.quota.shadow) || (which === "suspended" && row.tenant.suspended)));
}
function showTenants() {
	const rows = tenants.order(shown()), pages = Math.max(1, Math.ceil(rows.length / ROWS));
	page = Math.min(page, pages - 1);
	const first = page * ROWS, last = Math.min(first + ROWS, rows.length);
	tenants.show(rows.slice(first, last));
	const of = rows.length === allRows.length ? "" : ` (${grouped(allRows.length)} in all)`;
	setText(byId("rows"), rows.length ? `${grouped(first + 1)} to ${grouped(last)} of ${grouped(rows.length)}${of}` : `none${of}`);
	byId("previous").disabled = page === 0;
	byId("next").disabled = page === pages - 1;
}
function turn(by) {
	page += by;
	showTenants();
}
tenants.changed = () => { page = 0; showTenants(); };

/* ---- budgets ---------------------------------------------------------------------------------------------- */

const RENEWALS = {never: "", hour: "/hour", day: "/day", week: "/week", month: "/month"};
const moment = ns => ns === null || ns === "0" ? "" : new Date(Number(ns) / 1e6).toISOString().slice(0, 16).replace("T", " ");
const signed = digits => digits.startsWith("-") ? "-" + duration(digits.slice(1)) : duration(digits);
let budgetRows = [];
const budgets = new Table("budgets", [
	{key: "id", title: "Tenant", digits: true, sort: row => row.id, show: row => row.id},
	{key: "engagement", title: "Engagement", digits: true, sort: row => row.budget.engagement, show: row => row.budget.engagement},
	{key: "use", title: "Use", number: true, descending: true, sort: row => budgetUse(row.budget),
	 show: row => [share(budgetUse(row.budget)), budgetUse(row.budget) >= FULL ? "bad" : budgetUse(row.budget) >= NEAR ? "warn" : ""]},
	{key: "used", title: "Used", number: true, digits: true, descending: true, sort: row => row.budget.used_ns,
	 show: row => duration(row.budget.used_ns)},
	{key: "budget", title: "Budget", number: true, digits: true, descending: true, sort: row => row.budget.budget_ns,
	 show: row => duration(row.budget.budget_ns) + RENEWALS[row.budget.renewal]},
	{key: "period", title: "Period", number: true, digits: true, descending: true, sort: row => row.budget.period,
	 show: row => row.budget.period === "0" ? "" : grouped(row.budget.period)},
	{key: "began", title: "Began (UTC)", digits: true, sort: row => row.budget.began_at_ns || "0", show: row => moment(row.budget.began_at_ns)},
	{key: "renews", title: "Renews (UTC)", digits: true, sort: row => row.budget.renews_at_ns || "9".repeat(30),
	 show: row => row.budget.renews_at_ns === null ? ["never", "soft"] : moment(row.budget.renews_at_ns)},
	{key: "corrected", title: "Corrected", number: true, descending: true, sort: row => Number(row.budget.corrected_ns),
	 show: row => row.budget.corrected_ns === "0" ? "" : signed(row.budget.corrected_ns)},
], "use", true);
function showBudgets() {
	const rows = budgets.order(budgetRows);
	budgets.show(rows.slice(0, ROWS));
	setText(byId("budget-rows"), rows.length > ROWS ? `The first ${ROWS} of ${grouped(rows.length)} in this order` : rows.length ? "" : "none");
}
budgets.changed = showBudgets;

/* ---- brokers, followers, reasons, room ------------------------------------------------------------------ */

let brokerRows = [];
const brokers = new Table("brokers", [
	{key: "id", title: "Broker", sort: row => row.id, digits: true, show: row => `${row.broker.comm} (${row.broker.pid})`},
	{key: "state", title: "State", sort: row => row.broker.state,
	 show: row => [row.broker.state, row.broker.state === "stopped" ? "bad" : row.broker.state === "dead" ? "soft" : ""]},
	{key: "kernels", title: "Kernel slots", number: true, descending: true, sort: row => row.broker.kernels, show: row => grouped(row.broker.kernels)},
	{key: "memory", title: "GPU memory", number: true, descending: true, sort: row => Number(row.broker.gpu_memory_bytes),
	 show: row => bytes(row.broker.gpu_memory_bytes)},
	{key: "behind", title: "Grace periods behind", number: true, descending: true, sort: row => Number(row.broker.grace_behind),
	 show: row => [grouped(row.broker.grace_behind), Number(row.broker.grace_behind) > 0 ? "warn" : ""]},
	{key: "cross", title: "Cross-tenant attempts", number: true, descending: true, sort: row => Number(row.broker.cross_tenant_total),
	 show: row => [grouped(row.broker.cross_tenant_total), Number(row.broker.cross_tenant_total) > 0 ? "bad" : ""]},
	{key: "attached", title: "Attached", sort: row => row.broker.attached_at_ns, digits: true,
	 show: row => new Date(Number(row.broker.attached_at_ns) / 1e6).toLocaleString()},
], "state", true);
const showBrokers = () => brokers.show(brokers.order(brokerRows));
brokers.changed = showBrokers;

const lostBy = follower => BigInt(follower.lost_total) + BigInt(follower.overwritten);
let followerRows = [];
const followers = new Table("followers", [
	{key: "id", title: "Follower", sort: row => row.id, digits: true, show: row => `${row.follower.comm} (${row.follower.pid})`},
	{key: "state", title: "State", sort: row => row.follower.state,
	 show: row => [row.follower.state, row.follower.state === "active" ? "" : row.follower.state === "gone" ? "soft" : "bad"]},
	{key: "behind", title: "Events behind", number: true, descending: true, sort: row => Number(row.follower.behind),
	 show: row => grouped(row.follower.behind)},
	{key: "lost", title: "Events lost", number: true, descending: true, sort: row => lostBy(row.follower),
	 show: row => [grouped(lostBy(row.follower)), lostBy(row.follower) > 0n ? "bad" : ""]},
	{key: "said", title: "Last report", number: true, descending: true,
	 sort: row => row.follower.said_ago_ns === null ? Infinity : Number(row.follower.said_ago_ns),
	 show: row => row.follower.said_ago_ns === null ? "never" : `${duration(row.follower.said_ago_ns)} ago`},
], "state", true);
const showFollowers = () => followers.show(followers.order(followerRows));
followers.changed = showFollowers;

const ROOM = ["tenants", "budgets", "engagements", "leases", "kernels"];
const reasonLines = new Map(), roomLines = new Map(), cards = new Map();
function lineOf(lines, table, key, title, cells, chart) {
	if (!lines.has(key)) {
		const row = byId(table).tBodies[0].insertRow(), heading = make("th", title);
		heading.scope = "row";
		row.append(heading);
		for (let i = 0; i < cells.length; i++)
			row.append(make("td", undefined, "number"));
		if (chart) {
			row.append(make("td"));
			row.lastChild.append(makeChart());
		}
		lines.set(key, row);
	}
	const row = lines.get(key);
	row.dataset.key = key;
	cells.forEach((text, i) => setText(row.cells[i + 1], text));
	if (chart)
		drawChart(row.lastChild.firstChild, chart);
	return row;
}
function card(key, title, value, more, history) {
	if (!cards.has(key)) {
		const box = make("div", undefined, "card");
		box.append(make("h3", title), make("div", "", "value"), make("div", "", "more"));
		if (history)
			box.append(makeChart(title));
		byId("cards").append(box);
		cards.set(key, box);
	}
	const box = cards.get(key);
	box.dataset.card = key;
	setText(box.children[1], value);
	setText(box.children[2], more);
	if (history) {
		drawChart(box.children[3], history);
		box.children[3].setAttribute("aria-label", `${title}, recent: now ${value}, at most ${rate(Math.max(0, ...history))}`);
	}
}

const history = {};
function series(key, number) {
	history[key] = history[key] || [];
	if (number !== null)
		remember(history[key], number);
	return history[key];
}
function showWhole(status, rows, was) {
	const sum = key => was ? rows.reduce((n, row) => n + (row[key] || 0), 0) : null;
	const admitted = sum("admitted"), rejected = sum("rejected"), gpu = sum("gpu");
	const kernels = rows.reduce((n, row) => n + row.tenant.usage.kernels, 0);
	const memory = rows.reduce((n, row) => n + BigInt(row.tenant.usage.gpu_memory_bytes), 0n);
	const alive = status.brokers.filter(broker => broker.state !== "dead").length;
	card("admitted", "Admitted per second", perSecond(admitted), "", series("admitted", admitted));
	card("rejected", "Rejected per second", perSecond(rejected), "", series("rejected", rejected));
	card("gpu", "GPU time per second", gpu === null ? "" : gpu.toFixed(gpu < 10 ? 2 : 0) + " s", "", series("gpu", gpu));
	card("kernels", "Kernel slots held", grouped(kernels),
		`${grouped(status.tables.kernels.used)} names of kernels, ${bytes(memory)} of GPU memory`, series("kernels", kernels));
	card("tenants", "Tenants", grouped(rows.length), `room for ${grouped(status.tables.tenants.capacity)}`);
	card("brokers", "Brokers attached", `${alive} of ${status.broker_places}`, "");
	for (const reason of REASONS) {
		const total = rows.reduce((n, row) => n + BigInt(rejectedFor(row.tenant.usage, reason)), 0n);
		const now = was ? rows.reduce((n, row) => n + row.reasons[reason], 0) : null;
		lineOf(reasonLines, "reasons", reason, REASON_NAMES[reason], [grouped(total), perSecond(now)], series("reason " + reason, now));
	}
	for (const limit of LIMITS) {
		const total = rows.reduce((n, row) => n + BigInt(row.tenant.usage.shadow_rejected_total[limit]), 0n);
		const now = was ? rows.reduce((n, row) => n + row.shadows[limit], 0) : null;
		lineOf(reasonLines, "reasons", "shadow-" + limit, REASON_NAMES[limit] + ", in shadow", [grouped(total), perSecond(now)],
			series("shadow " + limit, now));
	}
	for (const [key, title] of [["unknown_tenant_total", "unknown tenant"], ["cross_tenant_total", "cross-tenant"]]) {
		const now = was ? grown(status[key], was.status[key]) / was.seconds : null;
		lineOf(reasonLines, "reasons", key, title, [grouped(status[key]), perSecond(now)], series(key, now));
	}
	for (const table of ROOM) {
		const {used, retired, capacity} = status.tables[table], full = capacity ? (used + retired) / capacity : 0;
		const row = lineOf(roomLines, "room", table, table, [grouped(used), grouped(retired), grouped(capacity), share(full)]);
		setClass(row.cells[4], "number " + (full > FULL ? "bad" : ""));
	}
	const row = lineOf(roomLines, "room", "brokers", "broker places",
		[String(alive), String(status.brokers.length - alive), String(status.broker_places), share(alive / status.broker_places)]);
	setClass(row.cells[4], "number " + (alive / status.broker_places > NEAR ? "bad" : ""));
}

/* ---- what needs attention ---------------------------------------------------------------------- */

/* Texts have no changing numbers, because a screen reader announces each text that changes. */
function attention(status, rows, was) {
	const list = [], say = (severity, key, text, ids) => list.push({severity, key, text, ids});
	/* several tenants in one line, the worst first; each is a button that filters the table by it */
	const group = (severity, key, text, some) => some.length && say(severity, key, text, some.map(row => row.id));
	if (was && grown(status.cross_tenant_total, was.first.cross_tenant_total) > 0)
		say("critical", "cross", "A kernel tried to send to another tenant's kernel since this page was opened");
	if (was && grown(status.audit.lost, was.first.audit.lost) > 0)
		say("critical", "lost", "The audit trail has lost events since this page was opened");
	if (status.tenants_damaged > 0)
		say("critical", "damaged", "A broker has corrupted counts of tenants: run k2k-tenantctl repair");
	for (const broker of status.brokers) {
		const name = `Broker ${broker.comm} (process ${broker.pid})`;
		if (broker.state === "stopped")
			say("warning", "stopped " + broker.pid, `${name} is stopped, and keeps what it holds`);
		else if (broker.state !== "dead" && Number(broker.grace_behind) > 0 && was && was.behind.has(broker.pid))
			say("warning", "behind " + broker.pid, `${name} holds up the reuse of what was deregistered`);
	}
	const alive = status.brokers.filter(broker => broker.state !== "dead").length;
	if (alive === 0)
		say("warning", "nobody", "No broker is attached");
	if (alive / status.broker_places > NEAR)
		say("warning", "places", "Few places for brokers are free");
	for (const follower of status.followers) {
		const name = `Audit follower ${follower.comm} (process ${follower.pid})`;
		if (follower.state === "failing")
			say("critical", "failing " + follower.pid, `${name} can't write its log`);
		else if (follower.state === "silent" || follower.state === "dead")
			say("warning", `${follower.state} ${follower.pid}`, `${name} is ${follower.state}`);
	}
	if (status.audit.required && !status.followers.some(follower => follower.state === "active"))
		say("critical", "unkept", "No follower keeps the audit trail: changes are refused");
	for (const table of ROOM)
		if ((status.tables[table].used + status.tables[table].retired) > FULL * status.tables[table].capacity)
			say("warning", "full " + table, `The table of ${table} is more than ${share(FULL)} full`);
	for (const reason of REASONS)
		group("warning", "rejected " + reason, `Rejected for ${REASON_NAMES[reason]}, more than ${share(REJECTED)} of the requests:`,
			rows.filter(row => row.share > REJECTED && row.reasons[reason] > 0).sort((a, b) => b.share - a.share));
	for (const limit of LIMITS)
		group("info", "shadow " + limit, `Limits in shadow would reject for ${REASON_NAMES[limit]}:`,
			rows.filter(row => row.shadows[limit] > 0).sort((a, b) => b.shadows[limit] - a.shadows[limit]));
	const ended = status.shares.ended_at_ns === "0" ? "don't hold" : `have ended at ${new Date(Number(status.shares.ended_at_ns) / 1e6).toLocaleTimeString()}`;
	group("warning", "alone", `This host's shares of rates ${ended}; the limit alone is in force:`, rows.filter(row => isAlone(row.tenant)));
	group("warning", "unattributed", "GPU time can't be booked because the table of engagements is full:", rows.filter(row => row.unattributed > 0));
	const fullest = row => Math.max(0, ...row.tenant.quota.budgets.map(budgetUse)), full = rows.filter(row => fullest(row) >= FULL);
	group("warning", "used up", "A budget is used up:", full.filter(row => fullest(row) >= 1));
	group("info", "almost", `At least ${share(FULL)} of a budget is used:`, full.filter(row => fullest(row) < 1));
	if (was && grown(status.unknown_tenant_total, was.status.unknown_tenant_total) > 0)
		say("warning", "unknown", "There are requests for tenants that are not registered");
	return list;
}
function showAttention(list) {
	if (!list.length)
		list = [{severity: "nothing", key: "", text: "Nothing"}];
	const element = byId("attention"), signature = JSON.stringify(list.map(one => [one.key, one.text, one.ids && one.ids.slice(0, NAMED), one.ids && one.ids.length]));
	if (element.dataset.signature === signature)
		return;
	element.dataset.signature = signature;
	element.replaceChildren(...list.map(one => {
		const item = make("li", undefined, one.severity);
		if (one.severity !== "nothing")
			item.append(make("span", one.severity, "severity"));
		item.append(one.text);
		for (const id of (one.ids || []).slice(0, NAMED)) {
			const button = make("button", id);
			button.type = "button";
			button.title = `show tenant ${id} alone`;
			button.addEventListener("click", () => filterBy(id));
			item.append(" ", button);
		}
		if (one.ids && one.ids.length > NAMED)
			item.append(` and ${grouped(one.ids.length - NAMED)} more`);
		return item;
	}));
}
function filterBy(id) {
	byId("filter").value = id;
	byId("show").value = "all";
	tenants.changed();
	byId("tenants-title").focus();
}

/* ---- updates ------------------------------------------------------------------------------ */

let last = null, first = null, timer = null, paused = false, asking = false, updates = 0;

function show(status) {
	setText(byId("registry"), status.registry);
	document.title = `${status.registry} - k2k registry`;
	if (!status.up) {
		last = first = null;
		known.clear();
		allRows = [];
		brokerRows = [];
		followerRows = [];
		budgetRows = [];
		showTenants();
		showBudgets();
		showBrokers();
		showFollowers();
		setText(byId("state"), "The registry can't be read");
		setClass(byId("state"), "bad");
		showAttention([{severity: "critical", key: "down", text: `The registry can't be read: ${status.error.message}`}]);
		return;
	}
	if (last && last.uuid !== status.uuid) {
		last = first = null;
		known.clear();
	}
	const seconds = last ? grown(status.taken_ns, last.taken_ns) / 1e9 : 0;
	if (last && seconds === 0)         /* the same snapshot */
		return;
	first = first || status;
	const was = last && {status: last, first, seconds, behind: new Set(last.brokers.filter(b => Number(b.grace_behind) > 0).map(b => b.pid))};
	allRows = status.tenants.map(tenant => rowOf(tenant, seconds));
	if (known.size > allRows.length) {
		const here = new Set(status.tenants.map(tenant => tenant.generation));
		for (const generation of known.keys())
			if (!here.has(generation))
				known.delete(generation);
	}
	budgetRows = status.tenants.flatMap(tenant => tenant.quota.budgets.map(budget => ({id: tenant.id, budget})));
	brokerRows = status.brokers.map(broker => ({id: String(broker.slot), broker}));
	followerRows = status.followers.map(follower => ({id: String(follower.index), follower}));
	setText(byId("state"), status.tenants.length ? `Up, read at ${new Date(Number(status.taken_at_ns) / 1e6).toLocaleTimeString()}` : "Up, without tenants");
	setClass(byId("state"), "");
	showAttention(attention(status, allRows, was));
	showWhole(status, allRows, was);
	showTenants();
	showBudgets();
	showBrokers();
	showFollowers();
	last = status;
}

async function update() {
	if (asking)
		return;
	let spent = 0;
	asking = true;
	try {
		const answer = await fetch("status.json", {cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS)});
		if (!answer.ok)
			throw new Error(`HTTP ${answer.status}`);
		const text = await answer.text(), begun = performance.now();
		show(JSON.parse(text));
		spent = performance.now() - begun;
		updates++;
		document.documentElement.dataset.updates = updates;
		document.documentElement.dataset.spentMs = spent.toFixed(1);
		setText(byId("took"), `Reading the registry took ${last ? (Number(last.took_ns) / 1e6).toFixed(1) : 0} ms, showing it ${spent.toFixed(0)} ms.`);
	} catch (error) {
		setText(byId("state"), "k2k-exporter does not answer; these numbers are old");
		setClass(byId("state"), "bad");
	}
	asking = false;
	/* spend at most a tenth of the time on it, however much there is to show */
	if (!paused)
		timer = setTimeout(update, Math.max(Number(byId("interval").value) * 1000, 9 * spent));
}
function again() {
	clearTimeout(timer);
	if (!paused && !document.hidden)
		update();
}

byId("interval").addEventListener("change", again);
byId("pause").addEventListener("click", () => {
	paused = !paused;
	byId("pause").setAttribute("aria-pressed", String(paused));
	again();
});
document.addEventListener("visibilitychange", again);
byId("filter").addEventListener("input", tenants.changed);
byId("show").addEventListener("change", tenants.changed);
byId("previous").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
update();
})();
