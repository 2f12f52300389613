WITH accepted AS (
  SELECT campaign, id, MAX(seq) FROM experiment WHERE status = 'keep' GROUP BY campaign
),
tried AS (
  SELECT knob, COUNT(*) AS n, MAX(direction = 'decrease') AS lower,
    MAX(direction = 'increase') AS higher
  FROM trial GROUP BY knob
),
won AS (SELECT component, SUM(outcome = 'improved') AS wins FROM trial GROUP BY component),
held AS (
  SELECT r.knob, MAX(typeof(value) <> 'text') AS numeric
  FROM accepted a JOIN regime r USING (campaign)
  WHERE until IS NULL AND NOT EXISTS (
    SELECT 1 FROM idle i WHERE i.experiment = a.id AND i.knob = r.knob
      AND (why = 'inert' OR i.knob NOT IN (SELECT knob FROM tried)))
  GROUP BY r.knob
),
judged AS (
  SELECT *, numeric AND NOT COALESCE(lower, 0) AS no_decrease,
    numeric AND NOT COALESCE(higher, 0) AS no_increase
  FROM held LEFT JOIN tried USING (knob)
),
stated AS (
  SELECT *, CASE WHEN n IS NULL THEN 'never touched'
      WHEN no_decrease + no_increase = 1 THEN 'one direction' ELSE 'open' END AS state
  FROM judged
)
SELECT component, knob, state,
  TRIM(CASE WHEN no_decrease THEN 'decrease ' ELSE '' END
    || CASE WHEN no_increase THEN 'increase' ELSE '' END),
  COALESCE(n, 0)
FROM stated JOIN component USING (knob) LEFT JOIN won USING (component)
WHERE component NOT IN ('evaluation', 'other')
ORDER BY CASE state WHEN 'never touched' THEN 0 WHEN 'one direction' THEN 1 ELSE 2 END,
  -COALESCE(wins, 0), component, knob
LIMIT 200
