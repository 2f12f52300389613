-- The largest gain against the largest loss, of isolated attempts where there are any.
WITH made AS (
  SELECT knob, direction, goal, t.campaign, t.outcome, t.seq, old, new, name, ABS(t.delta) AS size,
    ROW_NUMBER() OVER (
      PARTITION BY knob, direction, goal, t.outcome
      ORDER BY alone DESC, ABS(t.delta) DESC, name) AS place,
    COUNT(*) OVER (PARTITION BY knob, direction, goal, t.outcome) AS n
  FROM trial t JOIN experiment e ON e.id = t.experiment
  WHERE t.outcome IN ('improved', 'worsened')
),
chosen AS (
  SELECT g.knob, g.direction, g.goal, g.n AS improved, b.n AS worsened, g.size AS gain,
    b.size AS loss, g.name AS good, b.name AS bad, g.seq AS good_seq, b.seq AS bad_seq,
    g.old IS b.old AND g.new IS b.new AS same, g.campaign AS good_tag, b.campaign AS bad_tag
  FROM made g JOIN made b ON (b.knob, b.direction, b.goal) = (g.knob, g.direction, g.goal)
  WHERE g.outcome = 'improved' AND b.outcome = 'worsened' AND g.place = 1 AND b.place = 1
  ORDER BY -MIN(g.size, b.size), g.knob, g.direction, g.goal
  LIMIT 50
),
context AS (
  SELECT good, bad, c.knob AS edited, r.knob, value, 1 AS here
  FROM chosen c JOIN regime r ON r.campaign = good_tag
  WHERE since < good_seq AND COALESCE(until, 9e9) >= good_seq
  UNION ALL
  SELECT good, bad, c.knob, r.knob, value, 0
  FROM chosen c JOIN regime r ON r.campaign = bad_tag
  WHERE since < bad_seq AND COALESCE(until, 9e9) >= bad_seq
),
moved AS (
  SELECT good, bad, edited, knob
  FROM context
  WHERE knob <> edited
  GROUP BY good, bad, edited, knob
  HAVING MAX(CASE WHEN here THEN value END) IS NOT MAX(CASE WHEN NOT here THEN value END)
  ORDER BY knob
),
differing AS (
  SELECT good, bad, edited, group_concat(knob, ' ') AS differs FROM moved GROUP BY good, bad, edited
)
SELECT c.knob, c.direction, c.goal, improved, worsened, gain, loss, differs,
  CASE WHEN differs IS NOT NULL THEN 'context differs' WHEN same THEN 'same context: suspect noise'
    ELSE 'same context, other values: the best may lie between' END,
  c.good, c.bad
FROM chosen c
LEFT JOIN differing d ON d.good = c.good AND d.bad = c.bad AND d.edited = c.knob
ORDER BY -MIN(gain, loss), c.knob, c.direction, c.goal
