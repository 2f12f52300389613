SELECT knob, direction, goal, COUNT(*)
FROM trial t
WHERE outcome <> 'unknown' AND knob <> 'other.seed'
  --campaign: AND t.campaign = :campaign
GROUP BY knob, direction, goal
HAVING SUM(outcome = 'improved') = 0 AND COUNT(*) >= 2
ORDER BY 4 DESC, 1, 2, 3
LIMIT 50
