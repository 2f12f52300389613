-- Of each edit the isolated attempts, else all; of those the ones beyond the noise, else all;
-- of those the pair most alike, else nearest in time.
WITH made AS (
  SELECT knob, direction, goal, outcome, seq, old, new, e.name, ABS(t.delta) AS size, noise,
    RANK() OVER (
      PARTITION BY knob, direction, goal, outcome
      ORDER BY alone DESC, ABS(delta) > COALESCE(noise, -1) DESC) AS telling
  FROM (SELECT * FROM trial WHERE campaign = :campaign) t
  JOIN (SELECT id, name FROM experiment) e ON e.id = t.experiment
  JOIN (SELECT name AS tag, noise FROM campaign) ON tag = t.campaign
  WHERE outcome IN ('improved', 'worsened')
),
counts AS (
  SELECT knob, direction, goal, SUM(outcome = 'improved') AS improved,
    SUM(outcome = 'worsened') AS worsened
  FROM made GROUP BY knob, direction, goal
),
pair AS (
  SELECT g.knob, g.direction, g.goal, g.size AS gain, b.size AS loss, g.noise,
    g.old IS b.old AND g.new IS b.new AS same, g.name AS good, b.name AS bad, g.seq AS good_seq, b.seq AS bad_seq,
    ROW_NUMBER() OVER (
      PARTITION BY g.knob, g.direction, g.goal
      ORDER BY g.old IS NOT b.old OR g.new IS NOT b.new, ABS(g.seq - b.seq), g.seq, b.seq
    ) AS place
  FROM made g JOIN made b ON (b.knob, b.direction, b.goal) = (g.knob, g.direction, g.goal)
  WHERE g.outcome = 'improved' AND b.outcome = 'worsened' AND g.telling = 1 AND b.telling = 1
),
chosen AS (SELECT * FROM pair WHERE place = 1),
context AS (
  SELECT good, bad, c.knob AS edited, r.knob, good_seq > since AND good_seq <= until AS here,
    bad_seq > since AND bad_seq <= until AS there, value
  FROM chosen c JOIN (
    SELECT knob, value, since, COALESCE(until, 9e9) AS until FROM regime
    WHERE campaign = :campaign) r
),
moved AS (
  SELECT good, bad, edited, knob
  FROM context
  WHERE knob <> edited
  GROUP BY good, bad, edited, knob
  HAVING MAX(CASE WHEN here THEN value END) IS NOT MAX(CASE WHEN there THEN value END)
  ORDER BY knob
),
differing AS (
  SELECT good, bad, edited, group_concat(knob, ' ') AS differs FROM moved GROUP BY good, bad, edited
)
SELECT c.knob, c.direction, c.goal, improved, worsened, gain, loss, differs,
  CASE WHEN MIN(gain, loss) <= noise THEN 'inside the noise'
    WHEN differs IS NOT NULL THEN 'context differs'
    WHEN same THEN 'same context: suspect noise'
    ELSE 'same context, other values: the best may lie between' END,
  c.good, c.bad
FROM chosen c
JOIN counts USING (knob, direction, goal)
LEFT JOIN differing d ON d.good = c.good AND d.bad = c.bad AND d.edited = c.knob
ORDER BY -MIN(gain, loss), c.knob, c.direction, c.goal
LIMIT 50
