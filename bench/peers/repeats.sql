-- The same program, else the same knobs set to the same values as at the last such attempt.
WITH edits AS (
  SELECT experiment, group_concat(DISTINCT knob) AS knobs,
    group_concat(knob || '=' || quote(new), ' ') AS edit
  FROM (
    SELECT * FROM trial t
    WHERE 1
      --campaign: AND t.campaign = :campaign
    ORDER BY experiment, knob, new)
  GROUP BY experiment
  HAVING SUM(new IS NULL AND direction NOT IN ('remove', 'disable')) = 0
),
seen AS (
  SELECT t.*, knobs, edit, NULLIF(FIRST_VALUE(id) OVER program, id) AS same,
    LAG(id) OVER (PARTITION BY campaign, edit ORDER BY seq) AS alike
  FROM experiment t LEFT JOIN edits ON edits.experiment = id
  WHERE outcome <> 'interrupted'
    --campaign: AND t.campaign = :campaign
  WINDOW program AS (PARTITION BY campaign, program ORDER BY seq)
)
SELECT s.name, s.seq, CASE WHEN same THEN 'identical' ELSE 'value' END, REPLACE(knobs, ',', ' '),
  o.name, o.outcome, s.outcome
FROM seen s JOIN experiment o ON o.id = COALESCE(same, CASE WHEN edit IS NOT NULL THEN alike END)
WHERE same IS NOT NULL OR o.status <> 'keep'
ORDER BY s.campaign, s.seq
LIMIT 200
