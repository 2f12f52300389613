-- A row of `trial` is one edit of one attempt, so a group is the attempts at one edit.
WITH made AS (
  SELECT t.*, name
  FROM trial t JOIN experiment e ON e.id = t.experiment
  WHERE t.delta IS NOT NULL
    --campaign: AND t.campaign = :campaign
    AND NOT EXISTS (
      SELECT 1 FROM trial s WHERE s.experiment = t.experiment AND s.knob = 'other.seed')
  ORDER BY t.campaign, knob, direction, goal, t.seq
)
SELECT component, knob, direction, goal, COUNT(*) AS n, SUM(alone),
  AVG(CASE WHEN alone THEN delta END), group_concat(name, ' ')
FROM made
GROUP BY campaign, knob, direction, goal
ORDER BY campaign, n DESC, knob, direction, goal
LIMIT 50
